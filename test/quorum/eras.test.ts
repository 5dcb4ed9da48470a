import { expect, it } from 'vitest';
import { Eras } from '../../src/quorum/eras.ts';
import type { Head } from '../../src/quorum/head.ts';

const ERA = 2 ** 20;

function headIn(era: number): Head {
  const membership = { epoch: era * ERA, voters: [{ machine: 'm1', state: 'a' }] };
  return { membership, cluster: 'c', revision: era, segments: [], commits: [`${era}`] };
}

it('a machine that makes up eras does not fill the memory, nor displace what others have shown', () => {
  const eras = new Eras();
  eras.note('m2', headIn(1));
  for (let era = 2; era <= 100; era++) eras.note('m1', headIn(era));
  const former = eras.formerOf('c');
  expect(former.filter(({ machine }) => machine === 'm2')).toEqual([{ machine: 'm2', revision: 1 }]);
  expect(former.filter(({ machine }) => machine === 'm1').map(({ revision }) => revision)).toEqual([
    93, 94, 95, 96, 97, 98, 99,
  ]);
  expect(eras.latestOf('c')?.revision).toBe(100);
});
