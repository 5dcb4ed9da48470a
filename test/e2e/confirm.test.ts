import { expect, it } from 'vitest';
import { cluster, inside, onMachines, SUBNET, until } from '../support/cluster.ts';
import { createOperator, done, service } from './operator.ts';

const WINDOW_MS = 5000;
/** The most that a revert may take after the window, in ms. */
const LATE_MS = 5000;

const gate = (version: string, lines = '', window = '5s'): string =>
  service(
    `Environment=V=${version}\nExecStart=/bin/sleep 100000\n${lines}`,
    `Confirm=${window}\nMachineMetadata=role=gate`,
  );

const STOPS_SSHD =
  'ExecStartPre=systemctl stop sshd.service\nExecStopPost=systemctl start --no-block sshd.service';

const RUNNING = 'systemctl show -P Environment -P ActiveState gate.service | tr "\\n" " "';
/** What a change to confirm leaves on the machine. */
const LEFT = `{ ls -A /var/lib/fleet/confirm; ls -A /etc/systemd/system /etc/systemd/system/sysinit.target.wants | grep confirm
  systemctl list-units --all --plain --no-legend 'fleet-confirm*'; systemctl list-timers --all --no-legend 'fleet-*'; } || true`;

onMachines('a unit with Confirm=', () => {
  const operator = createOperator({
    metadata: { k1: 'role=gate' },
    ssh: { connect_timeout: '1s', keepalive_timeout: '1s' },
  });
  const write = (text: string): string => operator.write('gate.service', text);
  const LAUNCHED = done(`Unit gate.service launched on 00000000.../${SUBNET}.1`);
  /** Waits until that text runs; resolves with the time since `began`. */
  const whenRunning = async (version: string, began: number): Promise<number> => {
    await until(
      'k1',
      `[ "$(${RUNNING})" = "V=${version} active " ] || [ "$(${RUNNING})" = "active V=${version} " ]`,
    );
    return performance.now() - began;
  };
  const whenArmed = (): Promise<void> => until('k1', 'test -e /var/lib/fleet/confirm/gate.service/armed');
  const hash = async (): Promise<string> =>
    /^[0-9a-f]{7}/.exec(
      (await operator.fleetctl('list-unit-files', '--no-legend', '--fields', 'hash')).stdout,
    )?.[0] ?? '';

  it('is confirmed if it is healthy, and leaves nothing on the machine', async () => {
    for (const version of ['1', '2']) {
      write(gate(version));
      expect(await operator.fleetctl('start', '--replace', 'gate')).toEqual(LAUNCHED);
      expect(await inside('k1', LEFT)).toBe('');
      await whenRunning(version, performance.now());
    }
    expect((await operator.fleetctl('history', 'gate')).stdout.match(/good/g)).toHaveLength(2);
  });

  // Services of these machines cannot change the packet filter, so the box does what such a unit would.
  it.each([
    ['drops all packets', '3', ''],
    ['stops sshd', '4', STOPS_SSHD],
  ])(
    'that %s runs with its old text again in time, and is not tried again',
    async (_what, version, lines) => {
      write(gate(version, lines));
      const command = operator.launch(['start', '--replace', 'gate']).ended;
      await whenArmed();
      const began = performance.now();
      if (lines === '') await cluster('cut', 'k1');
      expect((await whenRunning('2', began)) - WINDOW_MS).toBeLessThan(LATE_MS);
      if (lines === '') await cluster('heal', 'k1');
      const { status, stderr } = await command;
      expect({ status, stderr }).toMatchObject({
        status: 1,
        stderr: expect.stringContaining('not confirmed'),
      });
      const said = `held: text ${await hash()} failed on k1: the machine has reverted it, not confirmed within 5s`;
      expect((await operator.fleetctl('list-units')).stderr).toContain(said);
      expect((await operator.fleetctl('history', 'gate')).stdout).toMatch(/failed/);
      const again = await operator.fleetctl('reconcile');
      expect(again.status).toBe(1);
      expect(again.stderr).toContain(said);
      await whenRunning('2', performance.now());
    },
  );

  it('whose operator disappears is reverted in time on a full disk, although it does not stop and systemd is reloaded', async () => {
    write(gate('0', 'TimeoutStopSec=infinity\nExecStop=/bin/sleep infinity'));
    const victim = operator.launch(['start', '--replace', 'gate']);
    await whenArmed();
    victim.process.kill('SIGKILL');
    const began = performance.now();
    await whenRunning('0', began);
    await cluster('fill', 'k1');
    while (performance.now() - began < WINDOW_MS - 1000)
      await inside('k1', 'systemctl daemon-reload; sleep 0.3');
    expect((await whenRunning('2', began)) - WINDOW_MS).toBeLessThan(LATE_MS);
    await until('k1', 'test ! -e /var/lib/fleet/confirm/gate.service/armed');
    await cluster('unfill', 'k1');
    expect(await inside('k1', 'systemctl list-units --failed --plain --no-legend "fleet-*"')).toBe('');
  });

  it('of which the operator disappears runs with its old text again in time, and is not changed before', async () => {
    write(gate('5'));
    const victim = operator.launch(['start', '--replace', 'gate']);
    await whenArmed();
    victim.process.kill('SIGKILL');
    const began = performance.now();
    if ((await victim.ended).status !== null) throw new Error('the command was too fast');
    const stop = await operator.fleetctl('stop', 'gate');
    expect(stop.stderr).toContain('its last change there is not confirmed yet (Confirm=)');
    expect((await whenRunning('2', began)) - WINDOW_MS).toBeLessThan(LATE_MS);
    const found = `Warning: Text ${await hash()} of gate.service was reverted by machine "k1": not confirmed within 5s\n`;
    expect((await operator.fleetctl('list-units')).stderr).toBe(found);
    expect((await operator.fleetctl('reconcile')).stderr).toContain('the machine has reverted');
    expect((await operator.fleetctl('history', 'gate')).stdout.match(/failed/g)).toHaveLength(3);
    expect(await operator.fleetctl('stop', 'gate')).toMatchObject({ status: 0 });
    write(gate('6'));
    expect(await operator.fleetctl('start', '--replace', 'gate')).toEqual(LAUNCHED);
    expect(await inside('k1', LEFT)).toBe('');
  });

  it('is reverted by a reboot within the window', async () => {
    write(gate('7', '', '10min'));
    const victim = operator.launch(['start', '--replace', 'gate']);
    await whenArmed();
    await cluster('cut', 'k1');
    victim.process.kill('SIGKILL');
    await whenRunning('7', performance.now());
    await cluster('heal', 'k1');
    await cluster('reboot', 'k1');
    await whenRunning('6', performance.now());
    const { stderr } = await operator.fleetctl('list-unit-files');
    expect(stderr).toContain(
      'was reverted by machine "k1": the machine rebooted before it was confirmed (Confirm=10m)',
    );
    expect(await operator.fleetctl('rollback', 'gate')).toMatchObject({ status: 0 });
    expect(await inside('k1', LEFT)).toBe('');
  });

  it('is stopped and removed if its first start was not confirmed', async () => {
    expect(await operator.fleetctl('destroy', 'gate')).toMatchObject({ status: 0 });
    write(gate('8', STOPS_SSHD));
    expect(await operator.fleetctl('start', 'gate')).toMatchObject({ status: 1 });
    await until('k1', '! systemctl cat gate.service && systemctl is-active --quiet sshd');
    expect((await operator.fleetctl('list-units')).stderr).toContain('the machine has reverted it');
    expect(await operator.fleetctl('destroy', 'gate')).toMatchObject({ status: 0 });
  });
});
