import { expect, it } from 'vitest';
import { Eras } from '../../src/quorum/eras.ts';
import type { Head } from '../../src/quorum/head.ts';

const ERA = 2 ** 20;

function headIn(era: number, cluster = 'c'): Head {
  const membership = { epoch: era * ERA, voters: [{ machine: 'm1', state: 'a' }] };
  return { membership, cluster, revision: era, segments: [], commits: [`${era}`] };
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

it('a machine that makes up clusters does not fill the memory, nor displace what others have shown', () => {
  const eras = new Eras();
  eras.note('m2', headIn(1));
  eras.note('m1', headIn(2));
  const clusters = Array.from({ length: 100 }, (_, index) => `made-up-${index}`);
  for (const cluster of clusters) eras.note('m1', headIn(1, cluster));
  expect(clusters.filter((cluster) => eras.latestOf(cluster) !== undefined)).toEqual(clusters.slice(-8));
  expect(eras.latestOf('c')?.revision).toBe(1);
});

it('the latest head of an era stays when its machine shows an earlier one again', () => {
  const eras = new Eras();
  const { membership, ...head } = headIn(1);
  const later = { ...head, membership: { ...membership, epoch: ERA + 1 } };
  eras.note('m1', later);
  eras.note('m1', { membership, ...head });
  expect(eras.latestOf('c')).toEqual(later);
});
