import { describe, expect, it } from 'vitest';
import type { PassEvent } from '../../src/reconcile/events.ts';
import { reconcile } from '../../src/reconcile/reconcile.ts';
import { idOf, TTL_MS } from '../support/builders.ts';
import { Scene, WRITE_FAILED } from './scene.ts';

/** An event as a line: `outcome m1 a.service write-failed`. */
function line(event: PassEvent): string {
  switch (event.kind) {
    case 'decided':
      return `decided ${event.unit} ${event.decision} ${event.from?.machine} ${event.to?.machine}`;
    case 'planned':
      return `planned ${event.waves.map((wave) => wave.map(({ machine }) => machine).join('+')).join(' ')}`;
    case 'changes-sent':
      return `changes-sent ${event.machine} ${event.changes.map(({ unit, steps }) => `${unit} ${steps.join('+')}`).join(', ')}`;
    case 'outcome':
      return `outcome ${event.machine} ${event.unit} ${event.failure?.code ?? 'done'}`;
    case 'wave-begun':
      return `wave-begun ${event.wave} of ${event.waves}`;
    case 'pass-begun':
      return `pass-begun ${event.scope === 'everything' ? event.scope : [...event.scope].join(' ')}`;
    case 'pass-done':
      return `pass-done ${event.failures}`;
    case 'voters':
      return `voters ${event.come}`;
    default:
      return `${event.kind} ${event.machine}`;
  }
}

const told = (scene: Scene): readonly string[] => scene.events.map(line);

/** Two machines, and a.service on the first. */
async function arrange(): Promise<Scene> {
  const scene = new Scene(['m1', 'm2']);
  await scene.want('launched', '', 'a.service');
  await scene.pass();
  return scene;
}

describe('a pass tells', () => {
  it('of everything from the question to the end, in order', async () => {
    const scene = await arrange();
    expect(told(scene)).toEqual([
      'pass-begun everything',
      'machine-asked m1',
      'machine-asked m2',
      'machine-answered m1',
      'machine-answered m2',
      'decided a.service place undefined m1',
      'planned m1',
      'wave-begun 1 of 1',
      'changes-sent m1 a.service write+record+start',
      'outcome m1 a.service done',
      'pass-done 0',
    ]);
  });

  it('of nothing but questions and answers when everything is as it should be', async () => {
    const scene = await arrange();
    await scene.pass('a.service');
    expect(told(scene).filter((entry) => !entry.startsWith('machine-'))).toEqual([
      'pass-begun a.service',
      'planned ',
      'pass-done 0',
    ]);
  });

  it('of a machine that is unreachable, and of a move with its reason and the token that machines get', async () => {
    const scene = await arrange();
    scene.driver.disconnect('m1');
    await scene.registry.update(() => [
      {
        kind: 'put-machine',
        name: 'm1',
        known: {
          id: idOf('m1'),
          silentSince: undefined,
          silence: { at: 0, seenBy: { me: { first: scene.clock.time - TTL_MS, last: scene.clock.time } } },
          backSince: undefined,
          cordon: undefined,
        },
      },
    ]);
    await scene.pass();
    const token = (await scene.registry.load()).units.get('a.service')?.token;
    expect(scene.events.find(({ kind }) => kind === 'machine-unreachable')).toMatchObject({
      machine: 'm1',
      id: idOf('m1'),
      unreachable: { code: 'ssh-timeout', message: 'Cannot reach machine "m1"' },
    });
    expect(scene.events.find(({ kind }) => kind === 'decided')).toEqual({
      kind: 'decided',
      unit: 'a.service',
      decision: 'move',
      from: { id: idOf('m1'), machine: 'm1' },
      to: { id: idOf('m2'), machine: 'm2' },
      because: expect.objectContaining({ code: 'machine-silent', silentMs: TTL_MS }),
      token,
    });
    expect(scene.events.find(({ kind }) => kind === 'changes-sent')).toMatchObject({
      changes: [{ unit: 'a.service', token }],
    });
  });

  it('of what could not be sent, too', async () => {
    const scene = await arrange();
    await scene.want('inactive', '', 'a.service');
    scene.driver.disconnect('m1');
    await scene.pass('a.service');
    expect(told(scene).slice(-3)).toEqual(['planned ', 'outcome m1 a.service unreachable', 'pass-done 1']);
  });

  it('of waves, up to the one that fails', async () => {
    const scene = new Scene(['m1', 'm2', 'm3']);
    await scene.want('launched', 'Global=true', 'a.service');
    await scene.pass();
    scene.driver.trouble('m2').failing.set('a.service', WRITE_FAILED);
    scene.events.length = 0;
    await reconcile(scene.ports, new Set(['a.service']), {
      actions: new Map([['a.service', 'restart']]),
      maxParallel: 1,
    });
    expect(told(scene).slice(-8)).toEqual([
      'planned m1 m2 m3',
      'wave-begun 1 of 3',
      'changes-sent m1 a.service restart',
      'outcome m1 a.service done',
      'wave-begun 2 of 3',
      'changes-sent m2 a.service restart',
      'outcome m2 a.service step',
      'pass-done 1',
    ]);
  });

  it('no text of a unit file', async () => {
    const scene = await arrange();
    expect(JSON.stringify(scene.events)).not.toContain('ExecStart');
  });
});
