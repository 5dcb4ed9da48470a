import { beforeAll, expect, it } from 'vitest';
import { inside, insideAll, MACHINES, onMachines, SUBNET, until } from '../support/cluster.ts';
import { createOperator, done, failed, type Outcome, SLEEPER, service } from './operator.ts';

/** Units that do not come up: the reason, the message, and a line of the journal that must be shown. */
const BAD_UNITS = [
  {
    why: 'dies at once',
    text: service('ExecStart=/bin/sh -c "echo cannot read my settings; exit 7"'),
    message: 'it did not stay up: failed (failed), result exit-code, exit status 7',
    journal: 'cannot read my settings',
  },
  {
    why: 'dies within the settle window',
    text: service('ExecStart=/bin/sh -c "sleep 0.1; echo lost my database; exit 3"'),
    message: 'it did not stay up: failed (failed), result exit-code, exit status 3',
    journal: 'lost my database',
  },
  {
    why: 'is killed',
    text: service('ExecStart=/bin/sh -c "kill -9 $$$$"'),
    message: 'it did not stay up: failed (failed), result signal, signal 9',
    journal: 'UNIT: Main process exited, code=killed, status=9/KILL',
  },
  {
    why: 'ends, although it should keep running',
    text: service('ExecStart=/bin/true'),
    message: 'it ended right after its start: inactive (dead), exit status 0',
    journal: 'UNIT: Deactivated successfully.',
  },
  {
    why: 'dies and is started again by systemd, with a pause',
    text: service('ExecStart=/bin/sh -c "echo once more; exit 3"\nRestart=always\nRestartSec=60'),
    message: 'it did not stay up: activating (auto-restart), result exit-code, exit status 3',
    journal: 'once more',
  },
  {
    why: 'dies and is started again by systemd until that gives up',
    text: service('ExecStart=/bin/sh -c "exit 3"\nRestart=always\nRestartSec=0'),
    message: 'it did not stay up: failed (failed), result exit-code, exit status 3, 5 restarts',
    journal: 'UNIT: Start request repeated too quickly.',
  },
  {
    why: 'has a setting that systemd refuses',
    text: service('ExecStart=not/absolute'),
    message: 'systemd refuses it: "Unit UNIT has a bad unit file setting."',
    journal: '/etc/systemd/system/UNIT:2: Neither a valid executable name nor an absolute path: not/absolute',
  },
  {
    why: 'has no program',
    text: service('ExecStart=/usr/bin/no-such-program'),
    message: 'it did not stay up: failed (failed), result exit-code, exit status 203',
    journal: 'UNIT: Main process exited, code=exited, status=203/EXEC',
  },
  {
    why: 'does not get ready in time',
    text: service('Type=notify\nTimeoutStartSec=1\nExecStart=/bin/sleep 100000'),
    message: 'it did not stay up: failed (failed), result timeout, signal 15',
    journal: 'UNIT: start operation timed out. Terminating.',
  },
  {
    why: 'is a oneshot that fails',
    text: service('Type=oneshot\nExecStart=/bin/sh -c "echo no luck; exit 9"'),
    message: 'it did not stay up: failed (failed), result exit-code, exit status 9',
    journal: 'no luck',
  },
  {
    why: 'requires a unit that is not there',
    text: `[Unit]\nRequires=nothing-like-it.service\n\n${SLEEPER}`,
    message: 'it did not start: inactive (dead)',
    journal: 'Failed to start UNIT: Unit nothing-like-it.service not found.',
  },
  {
    why: 'has a condition that does not hold',
    text: `[Unit]\nConditionPathExists=/nowhere\n\n${SLEEPER}`,
    message: 'it did not start: inactive (dead)',
    // The text differs between versions of systemd.
    journal: /condition check/i,
  },
];

onMachines('units that do not come up', () => {
  const operator = createOperator({ top: { settle: '400ms' } });
  const names = BAD_UNITS.map((_, index) => `bad${index}`);
  let outcome: Outcome;

  beforeAll(async () => {
    operator.write('good.service', SLEEPER);
    for (const [index, { text }] of BAD_UNITS.entries()) operator.write(`bad${index}.service`, text);
    outcome = await operator.fleetctl('start', ...names, 'good');
  });

  for (const [index, { why, message, journal }] of BAD_UNITS.entries()) {
    it(`are reported with the reason: one that ${why}`, () => {
      const start = `Error: Cannot start unit "bad${index}.service" on machine `;
      const [, said = ''] = outcome.stderr.split(start);
      const [first = '', ...lines] =
        said
          .split(/^Error:/m)[0]
          ?.trimEnd()
          .split('\n') ?? [];
      expect(first.replace(/^"(k[123])" \(127\.76\.\d\.[123]\): /, '')).toBe(
        message.replaceAll('UNIT', `bad${index}.service`),
      );
      const expected =
        journal instanceof RegExp ? journal : `  ${journal.replaceAll('UNIT', `bad${index}.service`)}\n`;
      expect(`${lines.join('\n')}\n`).toMatch(expected);
      expect(lines.filter((line) => !line.startsWith('hint: ')).length).toBeLessThanOrEqual(11);
    });
  }

  it('do not prevent another unit from starting', async () => {
    const { status, stdout, stderr } = outcome;
    expect({ status, stdout }).toEqual({
      status: 1,
      stdout: `Unit good.service launched on 00000000.../${SUBNET}.1\n`,
    });
    expect(stderr.match(/^Error:/gm)).toHaveLength(BAD_UNITS.length);
  });

  it('stay launched, and are shown as failed', async () => {
    const { stdout } = await operator.fleetctl(
      'list-unit-files',
      '--no-legend',
      '--fields=unit,dstate,state',
    );
    const rows = stdout
      .trimEnd()
      .split('\n')
      .map((row) => row.split(/ +/));
    expect(rows.filter(([, wanted]) => wanted === 'launched')).toHaveLength(BAD_UNITS.length + 1);
    expect(rows.filter(([, , is]) => is === 'launched')).toEqual([['good.service', 'launched', 'launched']]);
  });

  it('leave nothing behind when they are destroyed', async () => {
    expect(await operator.fleetctl('destroy', ...names)).toMatchObject({ status: 0, stderr: '' });
    for (const said of await insideAll(MACHINES, "systemctl list-units --all --plain --no-legend 'bad*'")) {
      expect(said).toBe('');
    }
  });

  it('come up with another text under the same name', async () => {
    for (const name of names) operator.write(`${name}.service`, SLEEPER);
    expect(await operator.fleetctl('start', ...names)).toMatchObject({ status: 0, stderr: '' });
  });
});

onMachines('a unit that fits no machine', () => {
  const operator = createOperator({ metadata: { k1: 'role=web', k2: 'role=db' } });

  it('fails at once with the rule that excludes each machine, and stays launched', async () => {
    operator.write('cache.service', service('ExecStart=/bin/sleep 100000', 'MachineMetadata=role=cache'));
    expect(await operator.fleetctl('start', 'cache')).toEqual(
      failed(
        1,
        `
        Error: Cannot place unit "cache.service": no machine fits
          k1: MachineMetadata= requires role=cache, and the machine has role=web
          k2: MachineMetadata= requires role=cache, and the machine has role=db
          k3: MachineMetadata= requires role=cache, and the machine has no role
        hint: It stays launched in the registry; run the command again when a machine fits
        `,
      ),
    );
    expect(
      await operator.fleetctl('list-unit-files', '--no-legend', '--fields=unit,dstate,state,tmachine'),
    ).toEqual(done('cache.service  launched  inactive  -'));
    operator.configure({ metadata: { k3: 'role=cache' } });
    await operator.fleetctl('machines', 'apply');
    expect(await operator.fleetctl('start', 'cache')).toEqual(
      done(`Unit cache.service launched on 00000000.../${SUBNET}.3`),
    );
  });

  it('is reported with the words of each rule', async () => {
    operator.configure({ metadata: { k1: 'role=web', k2: 'role=web' } });
    await operator.fleetctl('machines', 'apply');
    operator.write(
      'a@.service',
      service('ExecStart=/bin/sleep 100000', 'Conflicts=a@*.service\nMachineMetadata=role=web'),
    );
    operator.write('away.service', service('ExecStart=/bin/sleep 100000', 'MachineID=deadbeef'));
    operator.write('peer.service', service('ExecStart=/bin/sleep 100000', 'MachineOf=nowhere.service'));
    expect(await operator.fleetctl('start', 'a@1', 'a@2', 'a@3', 'away', 'peer')).toEqual(
      failed(
        1,
        `
        Error: Cannot place unit "a@3.service": no machine fits
          k1: Conflicts=a@*.service, and "a@1.service" is there
          k2: Conflicts=a@*.service, and "a@2.service" is there
          k3: MachineMetadata= requires role=web, and the machine has role=cache
        hint: It stays launched in the registry; run the command again when a machine fits
        Error: Cannot place unit "away.service": no machine fits
          k1: MachineID=deadbeef names another machine
          k2: MachineID=deadbeef names another machine
          k3: MachineID=deadbeef names another machine
        hint: It stays launched in the registry; run the command again when a machine fits
        Error: Cannot place unit "peer.service": no machine fits
          k1: MachineOf=nowhere.service, which is on no machine
          k2: MachineOf=nowhere.service, which is on no machine
          k3: MachineOf=nowhere.service, which is on no machine
        hint: It stays launched in the registry; run the command again when a machine fits
        `,
        `
        Unit a@1.service launched on 00000000.../${SUBNET}.1
        Unit a@2.service launched on 00000000.../${SUBNET}.2
        `,
      ),
    );
  });
});

onMachines('a unit that comes up', () => {
  const operator = createOperator();
  const UNITS = ['list-units', '--no-legend', '--fields=unit,active,sub'];

  it('can be a service of any type', async () => {
    operator.write('once.service', service('Type=oneshot\nExecStart=/bin/true'));
    operator.write('slow.service', service('Type=oneshot\nExecStart=/bin/sleep 1.5'));
    operator.write('stays.service', service('Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true'));
    operator.write(
      'notify.service',
      service(
        'Type=notify\nNotifyAccess=all\nExecStart=/bin/sh -c "systemd-notify --ready; exec sleep 100000"',
      ),
    );
    operator.write('fork.service', service('Type=forking\nExecStart=/bin/sh -c "sleep 100000 &"'));
    const names = ['once', 'slow', 'stays', 'notify', 'fork'];
    expect(await operator.fleetctl('start', ...names)).toMatchObject({ status: 0, stderr: '' });
    expect(await operator.fleetctl(...UNITS)).toEqual(
      done(`
        fork.service    active    running
        notify.service  active    running
        once.service    inactive  dead
        slow.service    inactive  dead
        stays.service   active    exited
      `),
    );
    expect(await operator.fleetctl('list-unit-files', '--no-legend', '--fields=state')).toEqual(
      done('launched\n'.repeat(names.length)),
    );
    await operator.fleetctl('stop', 'stays');
    await operator.fleetctl('start', 'stays');
    expect((await operator.fleetctl(...UNITS)).stdout).toMatch(/^stays.service +active +exited$/m);
    await operator.fleetctl('destroy', ...names);
  });

  it('can be a timer that runs its service', async () => {
    operator.write('tick.timer', '[Timer]\nOnActiveSec=100ms\nAccuracySec=10ms\n');
    operator.write('tick.service', service('Type=oneshot\nExecStart=/bin/touch /run/ticked'));
    expect(await operator.fleetctl('submit', 'tick.timer', 'tick.service')).toEqual(
      done('Unit tick.timer inactive\nUnit tick.service inactive'),
    );
    expect(await operator.fleetctl('load', 'tick.service')).toEqual(
      done(`Unit tick.service loaded on 00000000.../${SUBNET}.1`),
    );
    expect(await operator.fleetctl('start', 'tick.timer')).toEqual(
      done(`
        Unit tick.service loaded on 00000000.../${SUBNET}.1
        tick.timer starts tick.service when it elapses
        Unit tick.timer launched on 00000000.../${SUBNET}.1
      `),
    );
    await until('k1', '[ -e /run/ticked ]');
    expect(await operator.fleetctl(...UNITS)).toEqual(
      done('tick.service  inactive  dead\ntick.timer    active    elapsed'),
    );
    await operator.fleetctl('destroy', 'tick.timer', 'tick.service');
  });

  it('can be a timer that is started together with its service', async () => {
    operator.write('tick.timer', '[Timer]\nOnCalendar=daily\n');
    expect(await operator.fleetctl('start', 'tick.timer', 'tick.service')).toEqual(
      done(`
        Unit tick.service loaded on 00000000.../${SUBNET}.1
        tick.timer starts tick.service when it elapses
        Unit tick.timer launched on 00000000.../${SUBNET}.1
      `),
    );
    await operator.fleetctl('destroy', 'tick.timer', 'tick.service');
  });

  it('can be a socket that starts its service', async () => {
    operator.write('greet.socket', '[Socket]\nListenFIFO=/run/greet\n');
    operator.write('greet.service', SLEEPER);
    await operator.fleetctl('load', 'greet.service');
    expect(await operator.fleetctl('start', 'greet.socket')).toEqual(
      done(`
        Unit greet.service loaded on 00000000.../${SUBNET}.1
        greet.socket starts greet.service when a connection comes in
        Unit greet.socket launched on 00000000.../${SUBNET}.1
      `),
    );
    await inside('k1', 'echo hello >/run/greet');
    await until('k1', 'systemctl is-active --quiet greet.service');
    expect(await operator.fleetctl(...UNITS)).toEqual(
      done('greet.service  active  running\ngreet.socket   active  running'),
    );
    expect(await operator.fleetctl('destroy', 'greet.socket', 'greet.service')).toEqual(
      done('Destroyed greet.service\nDestroyed greet.socket'),
    );
  });

  it('is stopped by its own ExecStop before its file is removed', async () => {
    const stop = '/bin/sh -c "sleep 0.5; cp /etc/systemd/system/app.service /root/stopped-with; sync"';
    const text = service(`ExecStart=/bin/sleep 100000\nExecStop=${stop}`);
    operator.write('app.service', text);
    await operator.fleetctl('start', 'app');
    expect(await operator.fleetctl('destroy', 'app')).toEqual(done('Destroyed app.service'));
    expect(
      await inside('k1', 'cat /root/stopped-with; ls /etc/systemd/system/app.service 2>/dev/null || true'),
    ).toBe(text);
  });
});
