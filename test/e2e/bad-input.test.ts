import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { insideAll, MACHINES, onMachines, SUBNET } from '../support/cluster.ts';
import { createOperator, done, type Outcome, SLEEPER, service } from './operator.ts';

/** The files that fleetctl would change on each machine, and the number of logins. */
function machineState(): Promise<readonly string[]> {
  return insideAll(
    MACHINES,
    'ls -A /etc/systemd/system /var/lib; journalctl --quiet --unit=sshd | grep -c Accepted || true',
  );
}

/** Expects one line that starts with `message`, an optional hint below it, and an empty standard output. */
function expectRefusal({ status, stdout, stderr }: Outcome, expected: number, message: string): void {
  const [line = '', hint = 'hint: ', ...more] = stderr.trimEnd().split('\n');
  expect({ status, stdout, line: line.slice(0, message.length) }).toEqual({
    status: expected,
    stdout: '',
    line: message,
  });
  expect(hint).toMatch(/^hint: /);
  // A hint may show a few lines of a file to write.
  if (!hint.endsWith(':')) expect(more).toEqual([]);
}

onMachines('an invalid configuration', () => {
  const operator = createOperator();
  let before: readonly string[];
  beforeAll(async () => {
    before = await machineState();
  });
  afterAll(async () => expect(await machineState()).toEqual(before));
  const machine = `[machine.k1]\naddress = ${SUBNET}.1\n`;

  it.each([
    [
      'an unknown key',
      `${machine}[ssh]\nidenty_file = x\n`,
      '"HERE/fleet.conf" line 4: "identy_file" in [ssh] is not a known key: "x"',
    ],
    [
      'an unknown section',
      '[machines.k1]\n',
      '"HERE/fleet.conf" line 1: [machines.k1] is not a known section',
    ],
    [
      'a machine twice',
      machine + machine,
      '"HERE/fleet.conf" line 3: section was already given on line 1: [machine.k1]',
    ],
    [
      'two machines with one address',
      `${machine}[machine.k2]\naddress = ${SUBNET}.1\n`,
      `"HERE/fleet.conf" line 4: "address" in [machine.k2] is already that of machine "k1" on line 2: "${SUBNET}.1"`,
    ],
    [
      'a bad duration',
      `agent_ttl = 3 weeks\n${machine}`,
      '"HERE/fleet.conf" line 1: "agent_ttl" at the top must be a duration from 1s to 24h, such as 30s: "3 weeks"',
    ],
    [
      'a bad address',
      `[machine.k1]\naddress = ${SUBNET}.1:99999\n`,
      `"HERE/fleet.conf" line 2: "address" in [machine.k1] must be host, host:port or [IPv6]:port: "${SUBNET}.1:99999"`,
    ],
    ['no machine', '; nothing yet\n', 'No machines in the configuration "HERE/fleet.conf"'],
    ['no text', '\u0000\u0001', '"HERE/fleet.conf" line 1 has a control character'],
  ])('is refused: %s', async (_what, text, message) => {
    operator.write('fleet.conf', text);
    operator.write('web.service', SLEEPER);
    expectRefusal(await operator.fleetctl('start', 'web'), 2, `Error: ${message}`);
    expect(existsSync(join(operator.folder, 'registry'))).toBe(false);
  });

  it('is refused when it cannot be read', async () => {
    operator.configure({});
    mkdirSync(join(operator.folder, 'folder.conf'));
    const nowhere = await operator.fleetctl('--config', 'nowhere.conf', 'list-units');
    expectRefusal(nowhere, 2, 'Error: Cannot read the configuration "HERE/nowhere.conf": no such file');
    const folder = await operator.fleetctl('--config', 'folder.conf', 'list-units');
    expectRefusal(folder, 2, 'Error: Cannot read the configuration "HERE/folder.conf": it is a folder');
    operator.write('secret/fleet.conf', machine);
    operator.makePrivate('secret/fleet.conf');
    const secret = operator.launch(['--config', 'secret/fleet.conf', 'list-units'], { uid: 65_534 });
    expectRefusal(
      await secret.ended,
      2,
      `Error: Cannot read the configuration "${operator.folder}/secret/fleet.conf": permission denied`,
    );
    const missing = operator.launch(['list-units'], { env: { FLEETCTL_CONFIG: '' }, cwd: 'folder.conf' });
    expectRefusal(await missing.ended, 2, 'Error: No configuration found, looked for "');
  });
});

onMachines('an invalid command line', () => {
  const operator = createOperator();

  it.each([
    [['list-unit'], "Error: unknown command 'list-unit'"],
    [['list-units', 'web'], "Error: too many arguments for 'list-units'"],
    [['list-units', '-o', 'xml'], "Error: option '-o, --output <format>' argument 'xml' is invalid."],
    [['list-units', '--fields', 'unit,machin'], 'Error: No such field: "machin"'],
    [['--no-such', 'list-units'], "Error: unknown option '--no-such'"],
    [
      ['--ssh-timeout', 'soon', 'list-units'],
      'Error: Option "--ssh-timeout" must be a duration from 100ms to 10m, such as 5s: "soon"',
    ],
    [['start'], "Error: missing required argument 'unit'"],
    [['start', 'no spaces'], 'Error: Cannot use "no spaces" as a unit name: it must not contain " "'],
    [['start', '$(id)'], 'Error: Cannot use "$(id)" as a unit name: it must not contain "$"'],
    [
      ['start', 'sda.device'],
      'Error: Cannot use "sda.device" as a unit name: systemd creates device units itself, without a unit file',
    ],
    [['start', ''], 'Error: Cannot use "" as a unit name: it is empty'],
    [['start', 'x'.repeat(300)], `Error: Cannot use "${'x'.repeat(10)}`],
    [['start', 'web@'], 'Error: Cannot start template "web@.service": it is a pattern for units, not a unit'],
    [
      ['load', 'web@.service'],
      'Error: Cannot load template "web@.service": it is a pattern for units, not a unit',
    ],
  ])('is refused: %j', async (words, message) => {
    operator.write('web@.service', SLEEPER);
    const { status, stdout, stderr } = await operator.fleetctl(...words);
    expect({ status, stdout, said: stderr.slice(0, message.length) }).toEqual({
      status: 2,
      stdout: '',
      said: message,
    });
    expect(stderr.trimEnd().split('\n').length).toBeLessThanOrEqual(3);
  });
});

onMachines('an invalid unit file', () => {
  const operator = createOperator();

  it.each([
    ['is empty', '', 'Cannot read unit file "HERE/bad.service", line 1: the file has no options'],
    [
      'has comments only',
      '# later\n',
      'Cannot read unit file "HERE/bad.service", line 1: the file has no options',
    ],
    [
      'is binary',
      Buffer.from('7f454c46fffe', 'hex'),
      'Cannot read unit file "HERE/bad.service", line 1: it is not UTF-8 text',
    ],
    [
      'contains a NUL',
      '[Service]\nExecStart=/bin/true\u0000\n',
      'Cannot read unit file "HERE/bad.service", line 2: it contains a NUL byte',
    ],
    [
      'has no section',
      'ExecStart=/bin/true\n',
      'Cannot read unit file "HERE/bad.service", line 1: "ExecStart=/bin/true" is before the first section',
    ],
    [
      'has no "="',
      '[Service]\nExecStart /bin/true\n',
      'Cannot read unit file "HERE/bad.service", line 2: "=" is missing: "ExecStart /bin/true"',
    ],
    [
      'has a bad boolean',
      service('ExecStart=/bin/true', 'Global=maybe'),
      'Cannot read the placement of "bad.service", line 5: Global is neither true nor false: "maybe"',
    ],
    [
      'has a bad pair',
      service('ExecStart=/bin/true', 'MachineMetadata=roleweb'),
      'Cannot read the placement of "bad.service", line 5: MachineMetadata is not key=value: "roleweb"',
    ],
    [
      'has an unknown option',
      service('ExecStart=/bin/true', 'MachinMetadata=a=b'),
      'Cannot read the placement of "bad.service", line 5: unknown option in [X-Fleet]: "MachinMetadata"',
    ],
  ])('that %s is refused, and not submitted', async (_what, text, message) => {
    operator.write('bad.service', text);
    for (const verb of ['submit', 'start'])
      expectRefusal(await operator.fleetctl(verb, 'bad'), 1, `Error: ${message}`);
    expect(await operator.fleetctl('list-unit-files', '--no-legend')).toEqual(done());
  });

  it('is refused when it is a folder', async () => {
    mkdirSync(join(operator.folder, 'web.service'));
    mkdirSync(join(operator.folder, 'app'));
    for (const [name, path] of [
      ['web', 'web.service'],
      ['app', 'app'],
    ] as const) {
      const message = `Error: Cannot read unit file "HERE/${path}": it is a folder`;
      expectRefusal(await operator.fleetctl('start', name), 1, message);
    }
  });
});

onMachines('an invalid registry file', () => {
  const operator = createOperator();

  it.each([
    [
      'is from a newer version',
      (text: string) => text.replace('"format":1', '"format":2'),
      /format 2.*\nhint: .*newer/,
    ],
    ['is cut off', (text: string) => text.slice(0, -20), /damaged in line \d+: .*\nhint: .*backup/],
    ['is something else', () => 'rubbish\n', /damaged in line 1: .*\nhint: .*backup/],
    ['is empty', () => '', /damaged in line 1: the file is empty\nhint: .*backup/],
  ])('that %s is refused, and not changed', async (_what, damage, message) => {
    operator.write('web.service', SLEEPER);
    operator.write('new.service', SLEEPER);
    await operator.fleetctl('submit', 'web');
    const whole = operator.read('registry/records');
    const damaged = damage(whole);
    operator.write('registry/records', damaged);
    for (const command of [['list-units'], ['start', 'new'], ['destroy', 'web']]) {
      const { status, stdout, stderr } = await operator.fleetctl(...command);
      expect({ command, status, stdout }).toEqual({ command, status: 1, stdout: '' });
      expect(stderr).toMatch(message);
      expect(stderr).toContain('"HERE/registry');
    }
    expect(operator.read('registry/records')).toBe(damaged);
    operator.write('registry/records', whole);
  });
});

onMachines('two machines with one machine id', () => {
  const operator = createOperator();
  const id = '0123456789abcdef0123456789abcdef';
  beforeAll(() =>
    insideAll(['k1', 'k3'], `cp /etc/machine-id /root/machine-id; echo ${id} >/etc/machine-id`),
  );
  afterAll(() => insideAll(['k1', 'k3'], 'cat /root/machine-id >/etc/machine-id'));

  it('are not used until one of them is accepted, and other machines are used normally', async () => {
    operator.write('web.service', SLEEPER);
    const id = '00000000-0000-0000-0000-000000000000';
    const listed = await operator.fleetctl('list-units');
    expect(listed.stderr).toContain(`Machine "k1" has the machine id of machine "k3", ${id}`);
    expect(listed.stderr).toContain(`Machine "k3" has the machine id of machine "k1", ${id}`);
    const started = await operator.fleetctl('start', 'web');
    expect([started.status, started.stdout]).toEqual([
      0,
      `Unit web.service launched on 00000000.../${SUBNET}.2\n`,
    ]);
    expect((await operator.fleetctl('machines', 'accept', 'k1')).status).toBe(0);
    const { stdout } = await operator.fleetctl('list-machines', '--fields=state', '--no-legend');
    expect(stdout).toBe('reachable\nreachable\nunreachable\n');
  });
});
