import { FleetError } from '../base/errors.ts';
import { TOKEN_MARGIN } from '../cluster/snapshot.ts';
import { type Document, writeDocument } from '../registry/documents.ts';
import { RegistryView } from '../registry/view.ts';
import type { Change, Store, StoreRecord } from '../store/store.ts';

/** The content of a copy. */
export type CopiedRegistry = {
  readonly clusterId: string;
  readonly units: number;
  readonly records: number;
};

/**
 * Copies a whole registry into an empty store, in one commit, and reads it back. Revisions begin at 1 there, so its tokens
 * begin far above the last one of `from`, because machines reject lower tokens, and `from` may be used by mistake. An existing complete copy counts as
 * success. Throws `not-copyable` if `from` is empty, if `to` is not empty, or if `from` was changed during the copy, which
 * is then removed.
 */
export async function copyRegistry(from: Store, to: Store): Promise<CopiedRegistry> {
  const source = await from.list('');
  const view = new RegistryView(source.revision, source.records);
  if (view.clusterId === undefined)
    throw notCopyable('it is empty', 'Check where the registry is: fleetctl registry');
  const cluster: Document<'cluster'> = { id: view.clusterId, tokenBase: view.token + TOKEN_MARGIN };
  const values = source.records.map(({ key, value }): [string, string] => [
    key,
    key === 'cluster' ? writeDocument('cluster', cluster) : value,
  ]);
  const copied = { clusterId: view.clusterId, units: view.unitNames.length, records: values.length };
  const existing = await to.list('');
  if (existing.records.length > 0) {
    // An earlier command may have been interrupted after its commit.
    if (differenceOf(existing.records, values) === undefined) return copied;
    throw notEmpty();
  }
  const puts = values.map(([key, value]): Change => ({ kind: 'put', key, value, ifRevision: 0 }));
  const result = await to.commit(puts);
  if (result.kind === 'conflict') throw notEmpty();

  await verify(to, values);
  if ((await from.list('')).revision !== source.revision) {
    await to.commit(values.map(([key]) => ({ kind: 'delete', key, ifRevision: result.revision })));
    throw notCopyable('it was changed during the copy', 'Try again when no other command uses it');
  }
  return copied;
}

/** Reads the copy back. */
async function verify(to: Store, values: readonly [string, string][]): Promise<void> {
  const wrong = differenceOf((await to.list('')).records, values);
  if (wrong === undefined) return;
  throw notCopyable(
    `the copy differs at "${wrong}"`,
    'Check whether another process writes to the destination',
  );
}

/** The first key at which records and values differ. */
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
    'the destination is not empty',
    'Name an empty folder, or a prefix of etcd without keys. Machines are empty if none has /var/lib/fleet/registry',
  );
}

function notCopyable(why: string, hint: string): FleetError {
  return new FleetError('not-copyable', `Cannot copy the registry: ${why}`, { hint });
}
