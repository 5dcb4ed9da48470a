import { FleetError } from '../base/errors.ts';
import { type Document, writeDocument } from '../registry/documents.ts';
import { RegistryView } from '../registry/view.ts';
import type { Change, Store, StoreRecord } from '../store/store.ts';

/** What was copied. */
export type CopiedRegistry = {
  readonly clusterId: string;
  readonly units: number;
  readonly records: number;
};

/**
 * Copies a registry as a whole into a store that holds nothing, in one commit, and reads it back. Revisions begin at 1
 * there, so its tokens continue after the last one of `from`: machines refuse lower ones than they have seen. A copy that is
 * there already, whole, is as good as a new one. Throws `not-copyable` when there is nothing to copy, when `to` is not
 * empty, and when `from` was changed meanwhile; then the copy is removed.
 */
export async function copyRegistry(from: Store, to: Store): Promise<CopiedRegistry> {
  const source = await from.list('');
  const view = new RegistryView(source.revision, source.records);
  if (view.clusterId === undefined)
    throw notCopyable('there is nothing in it', 'check the name of the registry to copy');
  const cluster: Document<'cluster'> = { id: view.clusterId, tokenBase: view.token };
  const values = source.records.map(({ key, value }): [string, string] => [
    key,
    key === 'cluster' ? writeDocument('cluster', cluster) : value,
  ]);
  const copied = { clusterId: view.clusterId, units: view.unitNames.length, records: values.length };
  const existing = await to.list('');
  if (existing.records.length > 0) {
    // A copy that was made, and whose command did not come to its end.
    if (differenceOf(existing.records, values) === undefined) return copied;
    throw notEmpty();
  }
  const puts = values.map(([key, value]): Change => ({ kind: 'put', key, value, ifRevision: 0 }));
  const result = await to.commit(puts);
  if (result.kind === 'conflict') throw notEmpty();

  await verify(to, values);
  if ((await from.list('')).revision !== source.revision) {
    await to.commit(values.map(([key]) => ({ kind: 'delete', key, ifRevision: result.revision })));
    throw notCopyable('it was changed meanwhile', 'try again while no other command works with it');
  }
  return copied;
}

/** Reads the copy back. */
async function verify(to: Store, values: readonly [string, string][]): Promise<void> {
  const wrong = differenceOf((await to.list('')).records, values);
  if (wrong === undefined) return;
  throw notCopyable(
    `the copy is not the same at "${wrong}"`,
    'check whether another process writes to the destination',
  );
}

/** A key at which records and values are not the same. */
function differenceOf(
  records: readonly StoreRecord[],
  values: readonly [string, string][],
): string | undefined {
  const found = new Map(records.map(({ key, value }) => [key, value]));
  const wrong = values.find(([key, value]) => found.get(key) !== value)?.[0];
  return wrong ?? (found.size === values.length ? undefined : 'the number of records');
}

function notEmpty(): FleetError {
  return notCopyable(
    'there is something where it is to go',
    'name a folder or a prefix of etcd that holds nothing',
  );
}

function notCopyable(why: string, hint: string): FleetError {
  return new FleetError('not-copyable', `Cannot copy the registry: ${why}`, { hint });
}
