import { spawnSync } from 'node:child_process';
import { beforeAll, expect, it } from 'vitest';
import { UNITS } from '../../src/output/listings.ts';
import { inside, onMachines, SUBNET } from '../support/cluster.ts';
import { createOperator, done, failed, HELLO, HELLO_HASH, PROGRAM, SLEEPER, service } from './operator.ts';

onMachines('the three lists', () => {
  const operator = createOperator({ metadata: { k1: 'region=eu,disk=ssd', k3: 'region=us' } });

  it('have only titles before the first unit', async () => {
    expect(await operator.fleetctl('list-units')).toEqual(done('UNIT  MACHINE  ACTIVE  SUB'));
    expect(await operator.fleetctl('list-unit-files')).toEqual(done('UNIT  HASH  DSTATE  STATE  TMACHINE'));
  });

  it('show a standard and a global unit in the format of the original fleet', async () => {
    operator.write('standard-unit.service', SLEEPER);
    operator.write('global-unit.service', service('ExecStart=/bin/sleep 100000', 'Global=true'));
    expect(await operator.fleetctl('start', 'standard-unit', 'global-unit')).toEqual(
      done(`
        Unit global-unit.service launched on 3 of 3 machines
        Unit standard-unit.service launched on 00000000.../${SUBNET}.1
      `),
    );
    expect(await operator.fleetctl('list-units')).toEqual(
      done(`
        UNIT                   MACHINE                 ACTIVE  SUB
        global-unit.service    00000000.../${SUBNET}.1  active  running
        global-unit.service    00000000.../${SUBNET}.2  active  running
        global-unit.service    00000000.../${SUBNET}.3  active  running
        standard-unit.service  00000000.../${SUBNET}.1  active  running
      `),
    );
    expect(await operator.fleetctl('list-unit-files')).toEqual(
      done(`
        UNIT                   HASH     DSTATE    STATE     TMACHINE
        global-unit.service    c8249a2  launched  launched  3 of 3
        standard-unit.service  f2c9561  launched  launched  00000000.../${SUBNET}.1
      `),
    );
    expect(await operator.fleetctl('list-machines')).toEqual(
      done(`
        MACHINE                               IP          METADATA
        00000000-0000-0000-0000-000000000000  ${SUBNET}.1  disk=ssd,region=eu
        00000000-0000-0000-0000-000000000000  ${SUBNET}.2  -
        00000000-0000-0000-0000-000000000000  ${SUBNET}.3  region=us
      `),
    );
  });

  it('print complete ids and hashes with --full', async () => {
    const { stdout } = await operator.fleetctl(
      'list-units',
      '--full',
      '--no-legend',
      '--fields=machine,hash',
    );
    const machine = `00000000-0000-0000-0000-000000000000/${SUBNET}.1`;
    expect(stdout.split('\n')[0]).toBe(`${machine}  c8249a246e4a4c730c7a72660cf9cd501b7f76dc`);
  });

  it('show the requested columns in the requested order', async () => {
    expect(await operator.fleetctl('list-units', '--fields', 'sub,unit', '--no-legend')).toEqual(
      done(`
        running  global-unit.service
        running  global-unit.service
        running  global-unit.service
        running  standard-unit.service
      `),
    );
    expect(await operator.fleetctl('list-units', '--fields', 'unit,machin')).toEqual(
      failed(
        2,
        `
        Error: No such field: "machin"
        hint: Did you mean "machine"? Fields: ${UNITS.fields.map(({ field }) => field).join(', ')}
        `,
      ),
    );
  });
});

/** A time of today or yesterday, to the second. */
const RECENTLY = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;

onMachines('a list as JSON', () => {
  const operator = createOperator({ metadata: { k1: 'region=eu' } });
  const ask = async (verb: string) => JSON.parse((await operator.launch([verb, '-o', 'json']).ended).stdout);
  let machine: object;

  beforeAll(async () => {
    operator.write('hello.service', HELLO);
    await operator.fleetctl('start', 'hello');
    const id = (await inside('k1', 'cat /etc/machine-id')).trim();
    const uuid = id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
    machine = { id: uuid, name: 'k1', ip: `${SUBNET}.1` };
  });

  it('has what is known of units', async () => {
    expect(await ask('list-units')).toMatchObject({
      units: [
        {
          unit: 'hello.service',
          machine,
          load: 'loaded',
          active: 'active',
          sub: 'running',
          hash: HELLO_HASH,
          restarts: 0,
          since: expect.stringMatching(RECENTLY),
          // Memory accounting is off in the test machines.
          memoryBytes: null,
          cpuNs: expect.any(Number),
          result: 'success',
          lastRun: expect.stringMatching(RECENTLY),
          nextRun: null,
        },
      ],
      unreachable: [],
      unreadable: [],
    });
  });

  it('has what is known of unit files', async () => {
    expect(await ask('list-unit-files')).toMatchObject({
      unitFiles: [
        {
          unit: 'hello.service',
          hash: HELLO_HASH,
          desiredState: 'launched',
          drift: null,
          state: 'launched',
          machine,
          global: false,
          coverage: null,
          description: 'Hello World',
          rollout: null,
          held: null,
          set: null,
        },
      ],
      unreachable: [],
      unreadable: [],
    });
  });

  it('has what is known of machines', async () => {
    const { machines } = await ask('list-machines');
    expect(machines).toHaveLength(3);
    expect(machines[0]).toMatchObject({
      ...machine,
      metadata: { region: 'eu' },
      state: 'reachable',
      cordon: null,
      units: 1,
      systemd: expect.any(Number),
      loadAverage: [expect.any(Number), expect.any(Number), expect.any(Number)],
      memoryTotalBytes: expect.any(Number),
      memoryAvailableBytes: expect.any(Number),
      uptimeSeconds: expect.any(Number),
      lastSeen: expect.stringMatching(RECENTLY),
    });
    expect(machines[1]).toMatchObject({ units: 0 });
  });
});

onMachines('the output streams', () => {
  const operator = createOperator();

  it('contain no colours in a pipe, also when colours are requested', async () => {
    const env = { TERM: 'xterm-256color', FORCE_COLOR: '1', CLICOLOR_FORCE: '1' };
    const { stdout, stderr } = await operator.launch(['list-machines'], { env }).ended;
    expect(stdout + stderr).not.toContain('\u001b');
    expect(stdout).toContain(`${SUBNET}.1`);
  });

  it('can be closed by the reader early', () => {
    const script = `{ "$0" list-machines; echo "status $?" >&3; } 3>&2 | true`;
    const { stdout, stderr } = spawnSync('/bin/sh', ['-c', script, PROGRAM], {
      cwd: operator.folder,
      env: operator.environment,
      encoding: 'utf8',
    });
    expect({ stdout, stderr }).toEqual({ stdout: '', stderr: 'status 0\n' });
  });
});
