import { expect, it } from 'vitest';
import { cluster, inside, onMachines, SUBNET, until } from '../support/cluster.ts';
import { createOperator, service } from './operator.ts';

const WINDOW_MS = 8000;
/** The most that a revert may take after the window, in ms. */
const LATE_MS = 5000;

/** A unit for each machine. What one machine does in its window takes time, so each test uses all of them at once. */
const MACHINE_OF = { 'a.service': 'k1', 'b.service': 'k2', 'c.service': 'k3' } as const;
type Unit = keyof typeof MACHINE_OF;
const UNITS = Object.keys(MACHINE_OF) as readonly Unit[];

const gate = (unit: Unit, version: string, lines = '', window = '8s'): string =>
  service(
    `Environment=V=${version}\nExecStart=/bin/sleep 100000\n${lines}`,
    `Confirm=${window}\nMachineMetadata=name=${MACHINE_OF[unit]}`,
  );

/** A unit that is up sooner is confirmed before its machine is cut off, if the box is busy. */
const SLOW = 'ExecStartPre=/bin/sleep 3';

const STOPS_SSHD =
  'ExecStartPre=systemctl stop sshd.service\nExecStopPost=systemctl start --no-block sshd.service';

/** What a change to confirm leaves on the machine. */
const LEFT = `{ ls -A /var/lib/fleet/confirm; ls -A /etc/systemd/system /etc/systemd/system/sysinit.target.wants | grep confirm
  systemctl list-units --all --plain --no-legend 'fleet-confirm*'; systemctl list-timers --all --no-legend 'fleet-*'; } || true`;

onMachines('a unit with Confirm=', () => {
  const operator = createOperator({
    metadata: { k1: 'name=k1', k2: 'name=k2', k3: 'name=k3' },
    ssh: { connect_timeout: '2s', keepalive_timeout: '1s' },
  });
  const write = (unit: Unit, text: string): string => operator.write(unit, text);
  /** Waits until that text of the unit runs; resolves with the time since `began`. */
  const whenRunning = async (unit: Unit, version: string, began: number): Promise<number> => {
    const shown = `systemctl show -P Environment -P ActiveState ${unit} | sort | tr "\\n" " "`;
    await until(MACHINE_OF[unit], `[ "$(${shown})" = "V=${version} active " ]`);
    return performance.now() - began;
  };
  const whenArmed = async (unit: Unit): Promise<number> => {
    await until(MACHINE_OF[unit], `test -e /var/lib/fleet/confirm/${unit}/armed`);
    return performance.now();
  };
  const launchedOn = (unit: Unit): string =>
    `Unit ${unit} launched on 00000000.../${SUBNET}.${MACHINE_OF[unit].slice(1)}\n`;
  const failed = (unit: Unit, why = 'not confirmed within 8s'): RegExp =>
    new RegExp(
      `held: text [0-9a-f]{7} failed on ${MACHINE_OF[unit]}: the machine has reverted it, ${why.replace(/[()]/g, '\\$&')}`,
    );

  it('is confirmed if it is healthy, and leaves nothing on the machine', async () => {
    for (const version of ['1', '2']) {
      for (const unit of UNITS) write(unit, gate(unit, version));
      expect(await operator.fleetctl('start', '--replace', ...UNITS)).toEqual({
        status: 0,
        stdout: UNITS.map(launchedOn).join(''),
        stderr: '',
      });
      for (const unit of UNITS) {
        expect(await inside(MACHINE_OF[unit], LEFT)).toBe('');
        await whenRunning(unit, version, performance.now());
      }
    }
    expect((await operator.fleetctl('history', 'a')).stdout.match(/good/g)).toHaveLength(2);
  });

  // Services of these machines cannot change the packet filter, so the box does what such a unit would.
  async function dropsPackets(): Promise<void> {
    write('a.service', gate('a.service', '3', SLOW));
    const command = operator.fleetctl('start', '--replace', 'a');
    const began = await whenArmed('a.service');
    await cluster('cut', 'k1');
    expect((await whenRunning('a.service', '2', began)) - WINDOW_MS).toBeLessThan(LATE_MS);
    await cluster('heal', 'k1');
    expect(await command).toMatchObject({ status: 1, stderr: expect.stringContaining('not confirmed') });
  }
  async function stopsSshd(): Promise<void> {
    write('b.service', gate('b.service', '3', STOPS_SSHD));
    const command = operator.fleetctl('start', '--replace', 'b');
    const began = await whenArmed('b.service');
    expect((await whenRunning('b.service', '2', began)) - WINDOW_MS).toBeLessThan(LATE_MS);
    expect(await command).toMatchObject({ status: 1, stderr: expect.stringContaining('not confirmed') });
  }
  async function losesItsOperatorOnFullDisk(): Promise<void> {
    write('c.service', gate('c.service', '3', 'TimeoutStopSec=infinity\nExecStop=/bin/sleep infinity'));
    const victim = operator.launch(['start', '--replace', 'c']);
    const began = await whenArmed('c.service');
    victim.process.kill('SIGKILL');
    await whenRunning('c.service', '3', began);
    await cluster('fill', 'k3');
    while (performance.now() - began < WINDOW_MS - 1000)
      await inside('k3', 'systemctl daemon-reload; sleep 0.5');
    expect((await whenRunning('c.service', '2', began)) - WINDOW_MS).toBeLessThan(LATE_MS);
    await until('k3', 'test ! -e /var/lib/fleet/confirm/c.service/armed');
    await cluster('unfill', 'k3');
    expect(await inside('k3', 'systemctl list-units --failed --plain --no-legend "fleet-*"')).toBe('');
  }

  it('runs with its old text again in time, and is not tried again, whatever prevents its confirmation', async () => {
    await Promise.all([dropsPackets(), stopsSshd(), losesItsOperatorOnFullDisk()]);
    const { stderr } = await operator.fleetctl('list-units');
    for (const unit of UNITS) expect(stderr).toMatch(failed(unit));
    const again = await operator.fleetctl('reconcile');
    expect(again.status).toBe(1);
    for (const unit of UNITS) {
      expect(again.stderr).toMatch(failed(unit));
      await whenRunning(unit, '2', performance.now());
    }
  });

  async function isInterrupted(): Promise<void> {
    // Longer than the two commands below take on a busy box.
    write('a.service', gate('a.service', '4', SLOW, '20s'));
    const victim = operator.launch(['start', '--replace', 'a']);
    const began = await whenArmed('a.service');
    await cluster('cut', 'k1');
    await whenRunning('a.service', '4', began);
    // Otherwise it confirms the change as soon as it can.
    victim.process.kill('SIGINT');
    expect((await victim.ended).stderr).toMatch(/a\.service; the machine reverts it in \d+s, unless fleetd/);
    await cluster('heal', 'k1');
    expect((await operator.fleetctl('status', 'a')).stderr).toMatch(
      /text [0-9a-f]{7} of a\.service is not confirmed yet; machine "k1" reverts it in \d+s/,
    );
    const stop = await operator.fleetctl('stop', 'a');
    expect(stop.stderr).toContain('its last change there is not confirmed yet (Confirm=)');
    expect((await whenRunning('a.service', '2', began)) - 20_000).toBeLessThan(LATE_MS);
    // The registry does not know it yet.
    expect((await operator.fleetctl('history', 'a')).stdout.match(/failed/g)).toHaveLength(2);
    expect(await operator.fleetctl('stop', 'a')).toMatchObject({ status: 0 });
    const start = await operator.fleetctl('start', 'a');
    expect(start.stderr).toMatch(failed('a.service', 'not confirmed within 20s'));
    await whenRunning('a.service', '2', performance.now());
    expect(await operator.fleetctl('start', '--retry', 'a')).toMatchObject({ status: 0 });
    await whenRunning('a.service', '4', performance.now());
    expect(await inside('k1', LEFT)).toBe('');
  }
  async function isRebooted(): Promise<void> {
    write('b.service', gate('b.service', '4', SLOW, '10min'));
    const victim = operator.launch(['start', '--replace', 'b']);
    await whenArmed('b.service');
    await cluster('cut', 'k2');
    await whenRunning('b.service', '4', performance.now());
    victim.process.kill('SIGSTOP');
    await cluster('heal', 'k2');
    await cluster('reboot', 'k2');
    await whenRunning('b.service', '2', performance.now());
    const why = 'the machine rebooted before it was confirmed (Confirm=10m)';
    const shown = async (): Promise<string> => (await operator.fleetctl('list-unit-files')).stderr;
    expect(await shown()).toMatch(failed('b.service', why));
    // The command that was there all the time stores the same reason.
    victim.process.kill('SIGCONT');
    expect((await victim.ended).stderr).toContain(`${why}, and has reverted the change`);
    expect(await shown()).toMatch(failed('b.service', why));
    expect(await operator.fleetctl('rollback', 'b')).toMatchObject({ status: 0 });
    expect(await inside('k2', LEFT)).toBe('');
  }
  async function isNew(): Promise<void> {
    expect(await operator.fleetctl('destroy', 'c')).toMatchObject({ status: 0 });
    write('c.service', gate('c.service', '4', STOPS_SSHD));
    expect(await operator.fleetctl('start', 'c')).toMatchObject({ status: 1 });
    await until('k3', '! systemctl cat c.service && systemctl is-active --quiet sshd');
    expect((await operator.fleetctl('start', 'c')).stderr).toMatch(failed('c.service'));
    expect(await operator.fleetctl('destroy', 'c')).toMatchObject({ status: 0 });
    expect(await inside('k3', LEFT)).toBe('');
  }

  it('is reverted after Ctrl-C, after a reboot, and after a first start, and held until --retry', async () => {
    await Promise.all([isInterrupted(), isRebooted(), isNew()]);
  });
});
