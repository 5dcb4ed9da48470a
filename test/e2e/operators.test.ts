import { execFileSync } from 'node:child_process';
import http from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, it } from 'vitest';
import { addressOf, cluster, hostKeyOf, inside, onMachines, SUBNET } from '../support/cluster.ts';
import { fleetdStarter } from './fleetd.ts';
import { createOperator, type Operator, SLEEPER } from './operator.ts';

const TTL_MS = 8_000;
const HOUR_MS = 3_600_000;
/** Enough for a busy box. */
const PATIENT = { connect_timeout: '5s' };

onMachines('two operators with one registry', () => {
  const alice = createOperator({ top: { agent_ttl: `${TTL_MS}ms` }, ssh: PATIENT });
  const bob = createOperator();
  const top = (): Record<string, string> => ({
    agent_ttl: `${TTL_MS}ms`,
    registry: `file:${alice.folder}/registry`,
  });

  beforeAll(async () => {
    alice.write('web@.service', SLEEPER);
    await alice.fleetctl('start', 'web@1', 'web@2', 'web@3');
  });

  it('one of them without the host key of a machine: no unit moves until the other has seen it unreachable for agent_ttl', async () => {
    const known = ['k2', 'k3'].map((name) => `${addressOf(name)} ${hostKeyOf(name)}\n`);
    bob.write('known_hosts', known.join(''));
    const ssh = { ...PATIENT, known_hosts_file: 'known_hosts', strict_host_key_checking: 'yes' };
    bob.configure({ top: top(), ssh });
    const { stderr } = await bob.fleetctl('list-machines');
    expect(stderr).toContain(`"k1" (${SUBNET}.1:22): its host key is not known`);
    await sleep(TTL_MS);
    await staysAndThenMoves(alice, 'web@1.service', 'k1');
  });

  for (const [aheadMs, unit, machine] of [
    [HOUR_MS, 'web@2.service', 'k2'],
    [-HOUR_MS, 'web@3.service', 'k3'],
  ] as const) {
    it(`one of them with a clock ${aheadMs / HOUR_MS} h ahead: no unit moves early`, async () => {
      bob.configure({ top: top(), ssh: PATIENT });
      const shift = bob.write('shift.cjs', `const now = Date.now; Date.now = () => now() + ${aheadMs};\n`);
      await cluster('cut', machine);
      const { stderr } = await bob.launch(['list-machines'], { env: { NODE_OPTIONS: `--require=${shift}` } })
        .ended;
      expect(stderr).toContain(`Cannot reach machine "${machine}"`);
      await sleep(TTL_MS);
      await staysAndThenMoves(alice, unit, machine);
    });
  }
});

/** Units move when an observation shows the machine unreachable agent_ttl after the first such observation of the same operator. */
async function staysAndThenMoves(operator: Operator, unit: string, machine: string): Promise<void> {
  const where = async (): Promise<string | undefined> => {
    const words = ['list-unit-files', '--no-legend', '--fields=unit,tmachine'];
    const { stdout } = await operator.fleetctl(...words);
    return stdout.split('\n').find((line) => line.startsWith(unit));
  };
  const pass = (): Promise<unknown> => operator.fleetctl('reconcile');
  // Every command of that operator is an observation.
  await cluster('cut', machine);
  try {
    await pass();
    expect(await where()).toContain(addressOf(machine));
    await sleep(TTL_MS);
    await pass();
    expect(await where()).not.toContain(addressOf(machine));
  } finally {
    await cluster('heal', machine);
  }
  // Now all machines have been reachable for long enough to get units.
  await pass();
  await sleep(TTL_MS);
}

onMachines('a fleetd that machines refuse to log in', () => {
  const operator = createOperator({ top: { agent_ttl: '5s' } });
  const start = fleetdStarter(operator);

  it('polls less often, logs the reason once, reports itself unhealthy, gives up the leader lock, and polls again after a reload', async () => {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(operator.folder, 'id_other')]);
    operator.configure({ top: { agent_ttl: '5s' }, ssh: { identity_file: 'id_other' } });
    const count = "journalctl --boot --output=cat | grep -c 'authenticating user root' || true";
    const before = Number(await inside('k1', count));
    const fleetd = start();
    await fleetd.logged('leadership-given-up', {}, 30_000);
    await sleep(50_000);
    const after = Number(await inside('k1', count));
    expect(after - before).toBeLessThan(8);
    const lost = fleetd.log.filter(({ event, machine }) => event === 'machine-lost' && machine === 'k1');
    // On a busy box it may be lost for another reason first.
    expect(lost.filter(({ message }) => message.includes('cannot be used'))).toHaveLength(1);
    const { status, body } = await health(operator);
    expect(status).toBe(503);
    expect(body).toContain('no machine is reachable, of 3');
    const metrics = await asked(operator, '/metrics');
    expect(
      Number(/^fleet_ssh_failures_total\{reason="ssh-authentication"\} (\d+)$/m.exec(metrics.body)?.[1]),
    ).toBeGreaterThan(2);
    operator.configure({ top: { agent_ttl: '5s' } });
    fleetd.signal('SIGHUP');
    await expect.poll(async () => (await health(operator)).status, { timeout: 10_000 }).toBe(200);
  });
});

type Answer = { readonly status: number; readonly body: string };

const health = (operator: Operator): Promise<Answer> => asked(operator, '/healthz');

function asked(operator: Operator, path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const where = { socketPath: join(operator.folder, 'fleet.sock'), path, agent: false };
    const request = http.get(where, (response) => {
      text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject);
    });
    request.on('error', reject);
  });
}
