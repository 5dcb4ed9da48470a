import { execFileSync } from 'node:child_process';
import http from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, it } from 'vitest';
import { addressOf, cluster, hostKeyOf, inside, onMachines, SUBNET } from '../support/cluster.ts';
import { recruit } from './fleetd.ts';
import { hire, type Operator } from './operator.ts';
import { SLEEPER } from './units.ts';

const TTL_MS = 8_000;
const HOUR_MS = 3_600_000;
/** A busy computer takes its time. */
const PATIENT = { connect_timeout: '5s' };

onMachines('two operators on one registry', () => {
  const alice = hire({ top: { agent_ttl: `${TTL_MS}ms` }, ssh: PATIENT });
  const bob = hire();
  const top = (): Record<string, string> => ({
    agent_ttl: `${TTL_MS}ms`,
    registry: `file:${alice.folder}/registry`,
  });

  beforeAll(async () => {
    alice.write('web@.service', SLEEPER);
    await alice.fleetctl('start', 'web@1', 'web@2', 'web@3');
  });

  it('one without the host key of a machine: nothing moves before the other has seen it silent', async () => {
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
    it(`one whose clock is ${aheadMs / HOUR_MS} h ahead: the same`, async () => {
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

/** What a machine has lost moves with a look that is agent_ttl after the first one of that operator. */
async function staysAndThenMoves(operator: Operator, unit: string, machine: string): Promise<void> {
  const where = async (): Promise<string | undefined> => {
    const words = ['list-unit-files', '--no-legend', '--fields=unit,tmachine'];
    const { stdout } = await operator.fleetctl(...words);
    return stdout.split('\n').find((line) => line.startsWith(unit));
  };
  const pass = (): Promise<unknown> => operator.fleetctl('reconcile');
  // Every command of that operator is a look.
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
  // Then all machines have been back for long enough to take units.
  await pass();
  await sleep(TTL_MS);
}

onMachines('a fleetd that machines do not let in', () => {
  const operator = hire({ top: { agent_ttl: '5s' } });
  const start = recruit(operator);

  it('asks seldom, says once why, is not healthy, lets others lead, and looks again when it is reloaded', async () => {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(operator.folder, 'id_other')]);
    operator.configure({ top: { agent_ttl: '5s' }, ssh: { identity_file: 'id_other' } });
    const count = "journalctl --boot --output=cat | grep -c 'authenticating user root' || true";
    const before = Number(await inside('k1', count));
    const fleetd = start();
    await fleetd.said('seat-given-up', {}, 30_000);
    await sleep(50_000);
    const after = Number(await inside('k1', count));
    expect(after - before).toBeLessThan(8);
    const lost = fleetd.log.filter(({ event, machine }) => event === 'machine-lost' && machine === 'k1');
    expect(lost.map(({ message }) => message)).toEqual([expect.stringContaining('cannot be used')]);
    const { status, body } = await health(operator);
    expect(status).toBe(503);
    expect(body).toContain('no machine answers, of 3');
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
