import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { answerLine, type PassAnswer } from '../../src/api/pass-lines.ts';
import { FleetError } from '../../src/base/errors.ts';
import { linkToController } from '../../src/cli/controller-pass.ts';
import { type Config, originOf } from '../../src/config/config.ts';
import type { Action } from '../../src/plan/steps.ts';
import type { Ports } from '../../src/reconcile/ports.ts';
import { reconcile } from '../../src/reconcile/reconcile.ts';
import { Api, makeFolder } from '../api/support.ts';
import { House } from '../controller/support.ts';
import { desiredUnit } from '../support/builders.ts';

/** A command with its own access to the machines of a house. */
class Command {
  readonly house: House;
  readonly ports: Ports;
  /** The machines that it has connected to itself. */
  readonly connected: string[] = [];
  readonly #close: () => void;

  constructor(house: House, socketPath: string, config: Config) {
    this.house = house;
    const { driver, machines } = house.fakes;
    const clock = { now: () => Date.now() };
    const own: Ports = {
      registry: house.registry,
      driver: {
        ...driver,
        connect: (machine) => {
          this.connected.push(machine.name);
          return driver.connect(machine);
        },
      },
      clock,
      observer: { id: 'you', uptime: clock },
      machines,
      agentTtlMs: 600,
      cutOff: 0.5,
      emit: () => undefined,
    };
    const { ports, close } = linkToController(own, {
      endpoint: { name: 'unix:///fleet.sock', options: { socketPath }, tls: false },
      config,
      wait: { blocks: true, timeoutMs: undefined },
      author: 'you@there',
    });
    this.ports = ports;
    this.#close = close;
    onTestFinished(close);
  }

  async change(name: string, action: Action = 'start') {
    await this.ports.registry.update((view) => {
      const { text, hash, digest } = desiredUnit(name);
      const { machine } = view.units.get(name) ?? {};
      return [{ kind: 'put-unit', unit: { name, text, hash, digest, target: 'launched', machine } }];
    });
    return reconcile(this.ports, new Set([name]), { actions: new Map([[name, action]]) });
  }

  close(): void {
    this.#close();
  }
}

function configOf(house: House): Config {
  const machines = house.fakes.machines.map((machine) => ({ machine }));
  return { registry: { kind: 'file', directory: '/registry' }, machines, settle: 0 } as never;
}

async function arrange(house: House = new House(['m1', 'm2']), origin?: string) {
  const config = configOf(house);
  const api = await Api.of(house, { origin: origin ?? originOf(config) });
  await vi.waitFor(() => expect(house.controller.snapshot).toBeDefined(), { timeout: 10_000 });
  return new Command(house, api.socketPath, config);
}

const SILENT = {
  id: undefined,
  unreachable: { since: 0, code: 'ssh-timeout', message: '', hint: undefined },
};

/** A controller that says these lines once the pass is asked for, and goes away. */
async function arrangeLines(...lines: readonly PassAnswer[]): Promise<Command> {
  const house = new House(['m1', 'm2']);
  const config = configOf(house);
  const socketPath = join(await makeFolder(), 'fleet.sock');
  const seen = house.fakes.machines.map((machine) => ({ machine, ...SILENT }));
  const server = createServer((request, response) => {
    response.write(answerLine({ kind: 'ready', origin: originOf(config), machines: seen }));
    request.resume().on('end', () => response.end(lines.map(answerLine).join('')));
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  onTestFinished(() => void server.close());
  return new Command(house, socketPath, config);
}

const SENT: PassAnswer = {
  kind: 'event',
  event: {
    kind: 'changes-sent',
    machine: 'm1',
    changes: [{ unit: 'a.service', token: 1, steps: ['start'], obstacle: undefined }],
  },
};
const ERROR: PassAnswer = { kind: 'error', error: new FleetError('registry-conflict', 'others were faster') };

describe('a command with a controller', () => {
  it('connects to no machine, neither for the guard of the registry nor for its pass', async () => {
    const command = await arrange();
    const { outcomes } = await command.change('a.service');
    expect(outcomes).toMatchObject([{ unit: 'a.service', machine: 'm1', state: { active: 'active' } }]);
    expect(command.connected).toEqual([]);
    expect(command.house.runs('a.service')).toEqual(['m1']);
  });

  it('changes no registry that is older than a machine', async () => {
    const command = await arrange();
    const machine = command.house.fakes.of('m1');
    await command.change('a.service');
    const record = machine.units.get('a.service')?.record;
    if (record === undefined) throw new Error('no record');
    Object.assign(machine.units.get('a.service') ?? {}, { record: { ...record, token: 1_000 } });
    await command.house.controller.observe();
    const { socketPath } = await Api.of(command.house, { origin: originOf(configOf(command.house)) });
    const next = new Command(command.house, socketPath, configOf(command.house));
    await expect(next.change('b.service')).rejects.toMatchObject({ code: 'registry-outdated' });
    expect(next.connected).toEqual([]);
  });

  it('uses a controller that has the same registry at another place', async () => {
    const house = new House(['m1', 'm2']);
    await house.want('inactive', '', 'first.service');
    const command = await arrange(house, 'elsewhere');
    await command.change('a.service');
    expect(command.connected).toEqual([]);
  });

  it.each<readonly [string, () => Promise<Command>]>([
    ['has a registry that may be another one', () => arrange(undefined, 'elsewhere')],
    ['does not lead', () => arrange(new House(['m1', 'm2'], { leads: () => false }))],
    ['goes away', () => arrangeLines()],
    ['goes away during a start', () => arrangeLines(SENT)],
    ['ends with an error before a machine was changed', () => arrangeLines(ERROR)],
  ])('runs the pass if the controller %s', async (_, prepare) => {
    const command = await prepare();
    await command.change('a.service');
    expect(command.connected).toContain('m1');
    expect(command.house.runs('a.service')).toHaveLength(1);
  });

  it('runs the pass if the controller cannot reach the machine', async () => {
    const refused = new FleetError('ssh-authentication', 'Machine "m1" refuses the key');
    const house = new House(['m1'], {
      drivers: new Map([
        [
          'm1',
          {
            connect: () => {
              throw refused;
            },
            journal: async () => {
              throw refused;
            },
            close: async () => undefined,
          },
        ],
      ]),
    });
    const command = await arrange(house);
    expect((await command.change('a.service')).outcomes).toMatchObject([{ state: { active: 'active' } }]);
    expect(command.connected).toEqual(['m1']);
  });

  it('runs a second pass itself', async () => {
    const command = await arrange();
    await command.change('a.service');
    await command.change('b.service');
    expect(command.connected).not.toEqual([]);
  });

  it.each<Action>(['restart', 'run'])('does not repeat a %s that may have been made', async (action) => {
    const lost = await arrangeLines(SENT);
    await expect(lost.change('a.service', action)).rejects.toMatchObject({ code: 'endpoint' });
    const begun = await arrangeLines();
    await begun.change('a.service', action);
    expect(begun.connected).toContain('m1');
  });

  it('fails as the pass of the controller does after a machine was changed', async () => {
    const command = await arrangeLines(SENT, ERROR);
    await expect(command.change('a.service')).rejects.toMatchObject({ code: 'registry-conflict' });
  });
});
