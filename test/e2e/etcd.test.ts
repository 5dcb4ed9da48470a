import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareText } from '../../src/base/text.ts';
import { insideAll, MACHINES, onMachines } from '../support/cluster.ts';
import { HAS_ETCD, TestEtcd } from '../support/etcd.ts';
import { createOperator, type Operator, SLEEPER } from './operator.ts';

/** The units that run on each machine, and the tokens in its records. */
const WHAT_RUNS = 'pgrep -a "^sleep" || true';
const TOKENS = 'grep -h ^token= /var/lib/fleet/units/* || true';

onMachines('operators with a registry in etcd', () => {
  describe.runIf(HAS_ETCD)('with one member', () => {
    const operators = [createOperator(), createOperator()] as const;
    const [alice, bob] = operators;
    let etcd: TestEtcd;
    let place: string;

    beforeAll(async () => {
      etcd = await TestEtcd.start();
      place = `etcd://127.0.0.1:${etcd.members[0]?.port}/fleet`;
      for (const operator of operators) use(operator, place);
    });
    afterAll(() => etcd.end());

    it('start units at the same moment, and both see all of them', async () => {
      const names = [instances('a', 10), instances('b', 10)] as const;
      const outcomes = await Promise.all([
        alice.fleetctl('start', ...names[0]),
        bob.fleetctl('start', ...names[1]),
      ]);
      for (const { status, stderr } of outcomes)
        expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      for (const operator of operators) {
        expect(await running(operator)).toEqual(names.flat().toSorted(compareText));
      }
    });

    it('get an error when etcd does not answer, and nothing changes', async () => {
      const before = await insideAll(MACHINES, WHAT_RUNS);
      expect(before.join('').match(/sleep/g)).toHaveLength(20);
      await etcd.members[0]?.freeze();
      const outcomes = await Promise.all([
        alice.fleetctl('stop', 'a@1.service'),
        bob.fleetctl('list-units'),
        bob.fleetctl('reconcile'),
      ]);
      etcd.members[0]?.thaw();
      for (const { status, stdout, stderr } of outcomes) {
        expect([status, stdout]).toEqual([1, '']);
        expect(stderr).toMatch(
          /^Error: Cannot reach the etcd registry: 127\.0\.0\.1:\d+ \(no answer within 2 s\)\nhint: /,
        );
      }
      expect(await insideAll(MACHINES, WHAT_RUNS)).toEqual(before);
    });

    it('move the registry to a folder and back to etcd, while units keep running', async () => {
      const before = await insideAll(MACHINES, WHAT_RUNS);
      const highest = Math.max(...(await tokens()));
      await moveTo(`file:${alice.folder}/moved`, place);
      expect(await alice.fleetctl('reconcile')).toMatchObject({ status: 0 });
      await moveTo(`${place}-2`, `file:${alice.folder}/moved`);
      expect(await insideAll(MACHINES, WHAT_RUNS)).toEqual(before);
      expect(await bob.fleetctl('restart', 'a@1.service')).toMatchObject({ status: 0, stderr: '' });
      expect(await bob.fleetctl('stop', 'a@2.service')).toMatchObject({ status: 0, stderr: '' });
      expect(Math.max(...(await tokens()))).toBeGreaterThan(highest);
      expect(await running(alice)).toHaveLength(19);
    });

    it('cannot use the registry that was left', async () => {
      use(alice, place);
      const { status, stderr } = await alice.fleetctl('reconcile');
      expect(status).toBe(1);
      expect(stderr).toMatch(
        /^Error: The registry (is older than the state of the machines|may be an old backup)/,
      );
    });

    async function moveTo(to: string, from: string): Promise<void> {
      const { status, stdout } = await alice.fleetctl('registry', 'copy', from, to);
      expect([status, stdout]).toEqual([0, expect.stringMatching(/^Copied cluster .* units 2\d, /)]);
      for (const operator of operators) use(operator, to);
    }
  });
});

function use(operator: Operator, registry: string): void {
  operator.write('a@.service', SLEEPER);
  operator.write('b@.service', SLEEPER);
  operator.configure({ top: { registry } });
}

function instances(prefix: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}@${i + 1}.service`);
}

async function running(operator: Operator): Promise<readonly string[]> {
  const { stdout } = await operator.fleetctl('list-units', '--fields', 'unit,sub', '--no-legend');
  const lines = stdout.split('\n').filter((line) => line.endsWith('running'));
  return lines.map((line) => line.split(' ')[0] ?? '').toSorted(compareText);
}

async function tokens(): Promise<readonly number[]> {
  const found = await insideAll(MACHINES, TOKENS);
  return found.flatMap((text) => [...text.matchAll(/^token=(\d+)$/gm)].map(([, token]) => Number(token)));
}
