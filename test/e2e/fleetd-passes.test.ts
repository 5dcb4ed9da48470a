import { once } from 'node:events';
import { rmSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, expect, it } from 'vitest';
import { inside, insideAll, MACHINES, onMachines, SUBNET, until } from '../support/cluster.ts';
import { type Fleetd, fleetdStarter } from './fleetd.ts';
import { createOperator, done, type Outcome, SLEEPER, service } from './operator.ts';

const SLOW = service('Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sleep 3');
/** The settle window of these tests is longer. */
const DIES = service('ExecStart=/bin/sh -c "sleep 0.4; exit 3"');
const NOWHERE = service('ExecStart=/bin/true', 'MachineMetadata=no=such');

/** Verbs in an order in which each has something to do. */
const COMMANDS: readonly (readonly string[])[] = [
  ['start', 'web@1', 'web@2', 'web@3'],
  ['start', '-o', 'json', 'web@1', 'web@4'],
  // Its text is held the second time.
  ['start', '--retry', 'dies', 'nowhere', 'web@5', 'no-such'],
  ['restart', '-o', 'json', 'web@1', 'web@2', 'dies'],
  ['restart', '--max-parallel=2', 'web@*'],
  ['start', '-o', 'json', 'alien'],
  ['load', 'loaded'],
  ['start', '--no-block', 'web@6'],
  ['start', '--timeout=1s', 'slow'],
  ['stop', 'web@1', 'web@1', 'loaded'],
  // Not web@1 again: fleetd may decide on the observation from before the last stop, and repeat it.
  ['stop', '-o', 'json', 'web@2', 'web@5'],
  ['unload', 'web@2'],
  ['destroy', '-o', 'json', 'web@1', 'dies'],
  ['destroy', 'web@*', 'loaded', 'slow', 'nowhere', 'alien'],
];

onMachines('a fleetd that runs the passes of fleetctl', () => {
  const operator = createOperator({ top: { settle: '1s' } });
  /** Cannot reach a machine itself. */
  const blind = (...words: readonly string[]): Promise<Outcome> =>
    operator.fleetctl('--config', join(operator.folder, 'blind.conf'), ...words);
  const start = fleetdStarter(operator);
  const running: Fleetd[] = [];
  const leader = async (): Promise<Fleetd> => {
    const fleetd = start();
    running.push(fleetd);
    await fleetd.logged('leads');
    return fleetd;
  };

  beforeAll(() => {
    for (const name of ['web@', 'loaded', 'alien']) operator.write(`${name}.service`, SLEEPER);
    operator.write('slow.service', SLOW);
    operator.write('dies.service', DIES);
    operator.write('nowhere.service', NOWHERE);
    operator.write('blind.conf', operator.read('fleet.conf').replace('[ssh]\n', '[ssh]\nport = 1\n'));
  });
  afterEach(async () => {
    for (const fleetd of running.splice(0)) await fleetd.end('SIGKILL');
    rmSync(join(operator.folder, 'fleet.sock'), { force: true });
    await operator.fleetctl('destroy', 'slow', 'web@*');
  });

  it('gives the same answers, status and output as fleetctl alone', async () => {
    const path = '/etc/systemd/system/alien.service';
    await inside('k1', `printf '[Service]\nExecStart=/bin/true\n' >${path}; systemctl daemon-reload`);
    const all = async (): Promise<readonly Outcome[]> => {
      const outcomes: Outcome[] = [];
      for (const words of COMMANDS) outcomes.push(masked(await operator.fleetctl(...words)));
      return outcomes;
    };
    const alone = await all();
    await leader();
    expect(await all()).toEqual(alone);
    expect(alone.map(({ status }) => status)).toEqual([0, 0, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]);
  }, 300_000);

  it('starts nothing a second time that fleetctl of another computer starts and judges', async () => {
    await leader();
    const kinds = ['simple 0', 'simple 0.4', 'oneshot 0', 'oneshot 3'];
    const names = kinds.map((_, index) => `once-${index}`);
    for (const [index, kind] of kinds.entries()) {
      const [type, seconds] = kind.split(' ');
      const command = `echo ${index} >>/var/tmp/runs; sleep ${seconds}; exit 3`;
      operator.write(`once-${index}.service`, service(`Type=${type}\nExecStart=/bin/sh -c "${command}"`));
    }
    for (const name of names)
      expect(await operator.fleetctl('--endpoint', 'none', 'start', name)).toMatchObject({ status: 1 });
    // Longer than a controller leaves a unit to a command.
    await sleep(3_000);
    const runs = await insideAll(MACHINES, 'cat /var/tmp/runs 2>/dev/null || true; rm -f /var/tmp/runs');
    expect(runs.join('').split('\n').filter(Boolean).toSorted()).toEqual(['0', '1', '2', '3']);
    for (const name of names) {
      const { stdout } = await operator.fleetctl('history', '--no-legend', '--fields=result', name);
      expect(stdout).toBe('failed\n');
    }
    await operator.fleetctl('destroy', ...names);
  });

  it('runs them over its own sessions, and records the user of the command', async () => {
    const fleetd = await leader();
    expect(await blind('start', 'web@1')).toEqual(
      done(`Unit web@1.service launched on 00000000.../${SUBNET}.1`),
    );
    expect(await blind('restart', 'web@1')).toMatchObject({ status: 0, stderr: '' });
    expect(await blind('stop', 'web@1')).toMatchObject({ status: 0, stderr: '' });
    expect(await blind('destroy', 'web@1')).toEqual(done('Destroyed web@1.service'));
    const { stdout } = await operator.fleetctl('events', '-o', 'json', 'web@1');
    expect(new Set(stdout.match(/"by": ?"[^"]+"/g))).toSatisfy((by: ReadonlySet<string>) => by.size === 1);
    expect(fleetd.log.filter(({ event }) => event === 'pass-failed')).toEqual([]);
    await fleetd.end();
    expect(await blind('--endpoint=none', 'start', 'web@1')).toMatchObject({ status: 5 });
  });

  it('is used by name, and a name that does not work is an error that changes nothing', async () => {
    await leader();
    const socket = `unix://${join(operator.folder, 'fleet.sock')}`;
    expect((await blind('start', 'web@7', '--endpoint', socket)).status).toBe(0);
    const { status, stderr } = await operator.fleetctl('stop', 'web@7', '--endpoint', `${socket}.old`);
    expect({ status, stderr: stderr.split('\n')[0] }).toEqual({
      status: 1,
      stderr: 'Error: Cannot use unix://HERE/fleet.sock.old for this command: there is no such socket',
    });
    expect((await operator.fleetctl('status', 'web@7')).stdout).toContain('active (running)');
  });

  it('is not used with --endpoint=none', async () => {
    await leader();
    expect(await blind('--endpoint=none', 'start', 'web@1')).toMatchObject({ status: 5 });
  });

  it('does not report a unit as launched that ends within the settle window', async () => {
    await leader();
    for (let i = 0; i < 3; i++) {
      expect(await operator.fleetctl('start', '--retry', 'dies')).toMatchObject({ status: 1, stdout: '' });
      await operator.fleetctl('destroy', 'dies');
    }
  });

  it('ends the pass when fleetctl is interrupted, with the same last words', async () => {
    await leader();
    for (const name of ['a', 'b', 'c'])
      operator.write(`${name}.service`, name === 'b' ? SLOW.replace('sleep 3', 'sleep 5') : SLEEPER);
    await operator.fleetctl('start', 'a', 'b', 'c');
    const runs = 'systemctl show -P InvocationID c';
    const before = await insideAll(MACHINES, runs);
    const restart = operator.launch(['restart', 'a', 'b', 'c']);
    await until('k2', 'systemctl is-active b | grep -q activating');
    restart.process.kill('SIGINT');
    const { status, stderr } = await restart.ended;
    expect({ status, stderr: stderr.split('\n').slice(0, 4) }).toEqual({
      status: 130,
      stderr: [
        'Interrupted. Machines complete the work that they have received.',
        'Done on "k1": a.service',
        'In progress on "k2": b.service',
        'Not started on "k3": c.service',
      ],
    });
    await until('k2', 'systemctl is-active --quiet b');
    expect(await operator.fleetctl('stop', 'a')).toMatchObject({ status: 0 });
    expect(await insideAll(MACHINES, runs)).toEqual(before);
    await operator.fleetctl('destroy', 'a', 'b', 'c');
  });

  it.each(['SIGKILL', 'SIGSTOP'] as const)('is replaced by fleetctl after its %s', async (signal) => {
    const fleetd = await leader();
    const command = operator.launch(['start', 'slow']);
    await until('k1', 'systemctl is-active slow | grep -q activating');
    fleetd.signal(signal);
    const { status, stdout } = await command.ended;
    expect({ status, stdout }).toEqual({
      status: 0,
      stdout: expect.stringMatching(/^Unit slow\.service launched on \S+\.1\n$/),
    });
    // The frozen one is not waited for again and again.
    const { ms, ...second } = await operator.launch(['start', 'web@1']).ended;
    expect(second).toMatchObject({ status: 0, stderr: '' });
    expect(ms).toBeLessThan(8_000);
  });

  it('reports a restart as lost that it did not complete', async () => {
    const fleetd = await leader();
    await operator.fleetctl('start', 'slow');
    const command = operator.launch(['restart', 'slow']);
    await until('k1', 'systemctl is-active slow | grep -q activating');
    await fleetd.end('SIGKILL');
    const { status, stderr } = await command.ended;
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: expect.stringMatching(/^Error: Lost \S+fleet\.sock during the pass\nhint: Machines complete/),
    });
  });

  it('leaves the pass to fleetctl while another fleetd leads', async () => {
    await leader();
    // The first one of this computer has the socket; the other one is asked here.
    rmSync(join(operator.folder, 'fleet.sock'));
    const standby = start();
    running.push(standby);
    await standby.logged('stands-by');
    expect(await blind('start', 'web@1')).toMatchObject({ status: 5 });
    expect(await operator.fleetctl('start', 'web@1')).toMatchObject({ status: 0, stderr: '' });
  });

  it('leaves the pass to fleetctl if it does not know the request', async () => {
    const paths: string[] = [];
    const older = http.createServer((request, response) => {
      paths.push(`${request.method} ${request.url}`);
      response.writeHead(404).end();
    });
    older.listen(join(operator.folder, 'fleet.sock'));
    await once(older, 'listening');
    expect(await operator.fleetctl('start', 'web@1')).toMatchObject({ status: 0, stderr: '' });
    expect(paths).toEqual(['POST /fleet/v2/pass']);
    older.close();
  });
});

/** Without what differs between two runs of the same command: times, process ids and run ids. */
function masked({ status, stdout, stderr }: Outcome): Outcome {
  const text = (printed: string): string =>
    printed
      .replaceAll(/"(invocation|since|activeExit)": ?("[^"]*"|\d+)/g, '"$1": 0')
      .replaceAll(/\[\d+\]/g, '[0]')
      .replaceAll(/\d{4}-\d\d-\d\d [\d:]{8} UTC/g, 'DATE')
      // A fleetd may have started the unit that dies once more just before the command.
      .replaceAll(/^ *"?(Stopping dies|dies\.service: Deactivated|Stopped dies).*\n/gm, '');
  return { status, stdout: text(stdout), stderr: text(stderr) };
}
