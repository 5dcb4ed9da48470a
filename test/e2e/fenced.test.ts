import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  CLUSTER_FOLDER,
  cluster,
  inside,
  insideAll,
  MACHINES,
  onMachines,
  until,
} from '../support/cluster.ts';
import { createOperator, PROGRAM, service } from './operator.ts';

const TTL_MS = 5000;
/** The longest time from the last answer until a fenced unit has left: the lease, its stop timeout, a second, and 10 % for clock differences. */
const STOP_MS = 1000;
const HELD_MS = (TTL_MS + STOP_MS + 1000) * 1.1;

/** Writes the time every 50 ms while it runs, by the clock that all machines share; only SIGKILL ends it. */
const DIARY = '/var/tmp/fenced-diary';
const NOTING = `while read -r up rest </proc/uptime; do echo $$up; sleep 0.05; done >>${DIARY}`;
const UNIT = service(`TimeoutStopSec=1\nExecStart=/bin/sh -c "trap '' TERM; ${NOTING}"`, 'Fenced=true');

/** A timer and a service that start the unit, now and at every boot. */
const START_OTHER = `cd /etc/systemd/system
  printf '[Timer]\\nOnActiveSec=0\\nAccuracySec=1ms\\nUnit=one.service\\n' >other.timer
  printf '[Unit]\\nWants=one.service\\n[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=/bin/true\\n' >other.service
  ln -s ../one.service ../other.timer ../other.service multi-user.target.wants/
  systemctl daemon-reload
  systemctl start other.timer other.service`;
const REMOVE_OTHER = 'cd /etc/systemd/system && rm -f other.* multi-user.target.wants/other.*';

onMachines('a fenced unit', () => {
  const operator = createOperator({
    top: { agent_ttl: `${TTL_MS}ms` },
    ssh: { connect_timeout: '1s', keepalive_timeout: '1s' },
  });
  let fleetd: ChildProcess;
  let log: Promise<string>;
  /** The machine on which the unit runs. */
  let here = 'k1';

  beforeAll(async () => {
    operator.write('one.service', UNIT);
    await insideAll(MACHINES, `rm -f ${DIARY}`);
  });
  afterAll(() => void fleetd?.kill('SIGKILL'));

  const begin = (): void => {
    fleetd = spawn(join(dirname(PROGRAM), 'fleetd'), {
      cwd: operator.folder,
      env: { ...operator.environment },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    log = text(fleetd.stderr ?? process.stdin);
  };
  const end = async (): Promise<string> => {
    fleetd.kill('SIGTERM');
    await once(fleetd, 'exit');
    return log;
  };

  it('is not started without fleetd, and start fails at once with that reason', async () => {
    const { status, stdout, stderr } = await operator.fleetctl('start', '--timeout', '1s', 'one');
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain('k1: it has no lease: Fenced=true needs a running fleetd');
    expect(await insideAll(MACHINES, 'ls /run/fleet/lease 2>/dev/null || true')).toEqual(['', '', '']);
  });

  it('is started when fleetd has given its machine a lease', async () => {
    begin();
    const { status, stdout, stderr } = await operator.fleetctl('start', 'one');
    // The machine that gets a lease first.
    const [, last] = /^Unit one\.service launched on \S+\.(\d)\n$/.exec(stdout) ?? [];
    expect([status, stderr, last]).toEqual([0, '', expect.stringMatching(/^[123]$/)]);
    here = `k${last}`;
    expect(await inside(here, 'ls /etc/systemd/system/fleet.target.wants 2>/dev/null || true')).toBe('');
  });

  it('stops on a machine that is cut off when the lease ends, and only then starts elsewhere', async () => {
    const lost = here;
    await cluster('cut', lost);
    here = await nextRun(lost);
    expect(overlapMs()).toBe(0);
    await cluster('heal', lost);
    await untilGone(lost);
    expect(await inside(lost, 'ls /etc/systemd/system')).not.toContain('one.service');
  });

  it('moves from a hung machine, and the old copy is stopped when the machine resumes', async () => {
    const hung = here;
    await cluster('hang', hung);
    here = await nextRun(hung);
    await cluster('resume', hung);
    await untilGone(hung);
    const woken = overlapMs();
    process.stderr.write(`A machine that hung ran its copy for ${woken} ms when it woke\n`);
    // The unit ignores SIGTERM for a second. The rest is the time until systemd acts.
    expect(woken).toBeLessThan(STOP_MS + 1500);
    await insideAll(MACHINES, `: >${DIARY}`);
  });

  it('moves from a machine that lost power, and does not start there again', async () => {
    const lost = here;
    await sleep(TTL_MS);
    await cluster('kill', lost);
    here = await nextRun(lost);
    await cluster('start', lost);
    await untilGone(lost);
    expect(overlapMs()).toBe(0);
  });

  it('stops when fleetd hangs for longer than the lease, and starts again after that', async () => {
    fleetd.kill('SIGSTOP');
    const stopped = performance.now();
    await until(here, '! systemctl is-active --quiet one.service');
    expect(performance.now() - stopped).toBeLessThan(HELD_MS + 1000);
    expect(await inside(here, 'journalctl -u fleet-lease -o cat')).toContain(
      'No controller has renewed the lease of this machine in time: its fenced units stop',
    );
    fleetd.kill('SIGCONT');
    here = await nextRun();
    expect(overlapMs()).toBe(0);
  });

  it('is not started without a lease by a timer or another unit of its machine', async () => {
    await end();
    const isDown = '[ "$(systemctl show -P MainPID one.service)" = 0 ]';
    await until(here, `! systemctl is-active --quiet fleet-lease && ${isDown}`);
    const before = times(here).length;
    await inside(here, START_OTHER);
    await until(here, 'systemctl show -P LastTriggerUSec other.timer | grep -q .');
    expect(await inside(here, 'systemctl is-active other.service one.service || true')).toMatch(
      /^active\n(inactive|failed)\n$/,
    );
    await inside(here, isDown);
    expect(times(here).length).toBe(before);
  });

  it('is not started by a reboot without fleetd', async () => {
    await cluster('reboot', here);
    const start = 'systemctl is-active one.service || systemctl start one.service 2>&1 || true';
    await until(here, 'systemctl is-active --quiet other.service');
    expect(await inside(here, start)).toMatch(/^inactive\n.*fleet-lease\.service not found/);
    // A machine may not answer within the short limit of this file at the first try.
    const explained = async (): Promise<string> => (await operator.fleetctl('explain', 'one')).stdout;
    await expect.poll(explained).toContain('it has no lease');
    expect(await operator.fleetctl('unload', 'one')).toMatchObject({ status: 0 });
    expect(await inside(here, 'ls -d /etc/systemd/system/one* 2>/dev/null || true')).toBe('');
    await inside(here, REMOVE_OTHER);
    expect(overlapMs()).toBe(0);
  });
});

/** Waits until the unit writes its pulse on a machine other than `from`, and returns that machine. */
async function nextRun(from?: string): Promise<string> {
  const count = (machine: string): number => times(machine).length;
  const others = MACHINES.filter((machine) => machine !== from);
  const before = new Map(others.map((machine) => [machine, count(machine)]));
  const end = performance.now() + HELD_MS + 6000;
  while (performance.now() < end) {
    const found = others.find((machine) => count(machine) !== before.get(machine));
    if (found !== undefined) return found;
    await sleep(50);
  }
  throw new Error('the unit runs nowhere');
}

/** Waits until fleet has removed the unit from a machine. */
function untilGone(machine: string): Promise<void> {
  return until(machine, '! test -e /var/lib/fleet/units/one.service');
}

/** The times at which the unit ran on a machine, in seconds of the shared clock. */
function times(machine: string): readonly number[] {
  const path = join(CLUSTER_FOLDER, 'machines', machine, 'disk', DIARY);
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8').split('\n').slice(0, -1).map(Number);
}

/** The longest time for which two machines ran the unit at once, in ms. */
function overlapMs(): number {
  const runs = MACHINES.flatMap((machine) => runsOf(times(machine)).map((run) => ({ machine, ...run })));
  const pairs = runs.flatMap((a) => runs.filter((b) => a.machine < b.machine).map((b) => ({ a, b })));
  const overlaps = pairs.map(({ a, b }) => Math.min(a.last, b.last) - Math.max(a.first, b.first));
  return Math.round(Math.max(0, ...overlaps) * 1000);
}

/** Groups times into runs; a pause of a second begins another run. */
function runsOf(all: readonly number[]): readonly { readonly first: number; readonly last: number }[] {
  const runs: { first: number; last: number }[] = [];
  for (const time of all) {
    const run = runs.at(-1);
    if (run !== undefined && time - run.last < 1) run.last = time;
    else runs.push({ first: time, last: time });
  }
  return runs;
}
