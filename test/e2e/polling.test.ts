import { afterAll, beforeAll, expect, it } from 'vitest';
import { compareText } from '../../src/base/text.ts';
import type { Observation } from '../../src/cluster/snapshot.ts';
import { MEASURES } from '../../src/cluster/unit-state.ts';
import { createTransport } from '../../src/ssh/any-transport.ts';
import { TARGET_DEFAULTS } from '../../src/ssh/target.ts';
import type { MachineSession, SystemdDriver } from '../../src/systemd/driver.ts';
import { observeQuery } from '../../src/systemd/observation.ts';
import { ShowCache } from '../../src/systemd/show-cache.ts';
import { createSshDriver } from '../../src/systemd/ssh-driver.ts';
import { addressOf, IDENTITY_FILE, inside, KNOWN_HOSTS_FILE, onMachines, until } from '../support/cluster.ts';
import { createOperator, SLEEPER, service } from './operator.ts';

const K1 = { name: 'k1', address: '', metadata: {} };
const UNITS = ['web@1', 'web@2', 'odd\\x2d1', 'flaps', 'once', 'tick.timer', 'listens.socket'];

onMachines('a machine that is polled repeatedly', () => {
  const operator = createOperator({ machines: ['k1'] });
  let driver: SystemdDriver;
  let session: MachineSession;
  const shown = new ShowCache();
  /** The scripts that asked systemd to show units. */
  let asked: string[];

  beforeAll(async () => {
    operator.write('web@.service', SLEEPER);
    operator.write('odd\\x2d1.service', SLEEPER);
    operator.write('flaps.service', service('ExecStart=/bin/sleep 100000\nRestart=always\nRestartSec=100ms'));
    operator.write('once.service', service('Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true'));
    operator.write('tick.service', service('ExecStart=/bin/true'));
    operator.write('tick.timer', '[Timer]\nOnActiveSec=1d\n');
    operator.write('listens.service', SLEEPER);
    operator.write('listens.socket', '[Socket]\nListenStream=/run/listens\n');
    const loaded = await operator.fleetctl('load', 'tick.service', 'listens.service');
    const { stderr } = await operator.fleetctl('start', ...UNITS);
    expect([loaded.stderr, stderr]).toEqual(['', '']);
    ({ driver, asked } = watchedDriver());
    session = driver.connect(K1);
  });
  afterAll(async () => {
    session.close();
    await driver.close();
    // The unit has no record, so fleet does not remove it.
    await inside(
      'k1',
      'systemctl stop flaps.service; rm /etc/systemd/system/flaps.service; systemctl daemon-reload',
    );
  });

  it('shows all units at first, and none while nothing changes', async () => {
    expect(await look()).toEqual(await full());
    expect(asked).toHaveLength(1);
    expect(await look()).toEqual(await full());
    expect(await look()).toEqual(await full());
    expect(asked).toHaveLength(1);
  });

  it.each([
    ['is restarted', 'web@1', 'systemctl restart web@1.service'],
    ['is stopped', 'web@1', 'systemctl stop web@1.service'],
    ['is started', 'web@1', 'systemctl start web@1.service'],
    ['is killed', 'web@2', 'systemctl kill --signal=KILL web@2.service; sleep 0.3'],
    ['has failed and is reset', 'web@2', 'systemctl reset-failed web@2.service'],
    ['has a name that is a pattern', 'odd\\x2d1', "systemctl restart 'odd\\x2d1.service'"],
    ['is restarted by systemd', 'flaps', 'systemctl kill --signal=KILL flaps.service; sleep 0.5'],
    ['has run to its end once more', 'once', 'systemctl restart once.service'],
    ['is a timer that is stopped', 'tick.timer', 'systemctl stop tick.timer'],
    ['is a socket that is restarted', 'listens.socket', 'systemctl restart listens.socket'],
    [
      'has another text that systemd has read',
      'web@1',
      'echo Description=x >>/etc/systemd/system/web@1.service; systemctl daemon-reload',
    ],
    [
      'has lost its file',
      'odd\\x2d1',
      "mv '/etc/systemd/system/odd\\x2d1.service' /root; systemctl daemon-reload",
    ],
    [
      'has a file again',
      'odd\\x2d1',
      "mv '/root/odd\\x2d1.service' /etc/systemd/system; systemctl daemon-reload",
    ],
    ['has lost its record', 'flaps', 'rm /var/lib/fleet/units/flaps.service'],
  ])('shows again a unit that %s', async (_, unit, script) => {
    await look();
    const before = asked.length;
    await inside('k1', script);
    await until('k1', '! systemctl list-jobs --no-legend | grep .');
    expect(await look()).toEqual(await full());
    const names = asked.slice(before).join('\n');
    expect(names === '' ? unit : names).toContain(unit);
    for (const other of UNITS.filter((each) => each !== unit)) expect(names).not.toContain(`'${other}`);
  });

  const look = async () => comparable(await session.ask(observeQuery({ names: [], digests: true, shown })));
  const full = async () => {
    const other = driver.connect(K1);
    try {
      return comparable(await other.ask(observeQuery({ names: [], digests: true })));
    } finally {
      other.close();
    }
  };
});

/** Without measurements and the times of units without processes, which may be up to two minutes old. */
function comparable(observed: Observation) {
  const { units, ...observation } = JSON.parse(
    JSON.stringify(observed, (key, held: unknown) => (MEASURES.has(key) ? undefined : held)),
  ) as Observation;
  const states = units.map(({ state, ...unit }) => {
    const isInRun = unit.name.endsWith('.service') && state.active !== 'inactive';
    const late = { invocation: '', since: undefined, activeExit: undefined };
    return { ...unit, state: isInRun ? state : { ...state, ...late } };
  });
  return { ...observation, units: states.toSorted((a, b) => compareText(a.name, b.name)) };
}

/** The driver of a machine, and the scripts sent to it that show units. */
function watchedDriver(): { driver: SystemdDriver; asked: string[] } {
  const asked: string[] = [];
  const login = { user: 'root', identityFiles: [IDENTITY_FILE], userKnownHostsFiles: [KNOWN_HOSTS_FILE] };
  const ssh = { ...TARGET_DEFAULTS, ...login, name: 'k1', host: addressOf('k1') };
  const transport = createTransport({
    environment: {},
    sshConfigFile: 'none',
    askHostKey: undefined,
    ask: undefined,
    passphraseFile: undefined,
    homeFolder: '/nonexistent',
  });
  const watched = {
    ...transport,
    exec: async (...words: Parameters<typeof transport.exec>) => {
      const process = await transport.exec(...words);
      const write = process.write.bind(process);
      process.write = (text) => {
        if (String(text).includes('\nshowing;')) asked.push(String(text));
        write(text);
      };
      return process;
    },
  };
  return {
    driver: createSshDriver(watched, { access: () => ({ ssh, become: 'none' as const }), settleMs: 0 }),
    asked,
  };
}
