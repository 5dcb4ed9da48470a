import { describe, expect, it } from 'vitest';
import { type MachineView, observedOn, otherCluster } from '../../src/cluster/snapshot.ts';
import { CLUSTER_ID, cluster, desiredUnit, observedUnit } from '../support/builders.ts';

function only(builder: ReturnType<typeof cluster>): MachineView {
  const [view] = builder.snapshot().machines;
  if (view === undefined) throw new Error('no machine');
  return view;
}

describe('the cluster that owns a machine', () => {
  it.each<readonly [string, MachineView, string | undefined, string | undefined]>([
    ['ours', only(cluster().machine('m1')), CLUSTER_ID, undefined],
    ['unowned', only(cluster().machine('m1', {}, { cluster: undefined })), CLUSTER_ID, undefined],
    ['another one’s', only(cluster().machine('m1', {}, { cluster: 'other' })), CLUSTER_ID, 'other'],
    ['not known while it is unreachable', only(cluster().unreachable('m1', 0)), CLUSTER_ID, undefined],
    ['another one’s, when ours has no id yet', only(cluster().machine('m1')), undefined, CLUSTER_ID],
    [
      'unowned, when our cluster has no id yet',
      only(cluster().machine('m1', {}, { cluster: undefined })),
      undefined,
      undefined,
    ],
  ])('%s', (_, view, clusterId, expected) => {
    expect(otherCluster(view, { clusterId })).toBe(expected);
  });
});

describe('what a machine shows of a unit', () => {
  const unit = observedUnit(desiredUnit('a.service'));

  it('is there, not there, or not known', () => {
    const answering = only(cluster().machine('m1', {}, { units: [unit] }));
    expect(observedOn(answering, 'a.service')).toBe(unit);
    expect(observedOn(answering, 'b.service')).toBeUndefined();
    expect(observedOn(only(cluster().unreachable('m1', 0)), 'a.service')).toBeUndefined();
  });
});
