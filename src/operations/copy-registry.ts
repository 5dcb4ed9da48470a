import { FleetError } from '../base/errors.ts';
import { type Document, readDocument, writeDocument } from '../registry/documents.ts';
import { RegistryView } from '../registry/view.ts';
import type { Change, Store } from '../store/store.ts';

/** What was copied. */
export type CopiedRegistry = {
  readonly clusterId: string;
  readonly units: number;
  readonly records: number;
};

/**
 * Copies a registry as a whole into a store that holds nothing, in one commit, and reads it back. Revisions count
 * anew there, so its tokens go on from the last one of `from`: machines refuse lower ones than they have seen.
 * Throws `not-copyable` when there is nothing to copy, when `to` is not empty, and when `from` was changed
 * meanwhile; then the copy is taken away again.
 */
export async function copyRegistry(from: Store, to: Store): Promise<CopiedRegistry> {
  const source = await from.list('');
  const view = new RegistryView(source.revision, source.records);
  if (view.clusterId === undefined)
    throw notCopyable('there is nothing in it', 'check the name of the registry to copy');
  const existing = await to.list('');
  if (existing.records.length > 0) throw notEmpty();

  const cluster: Document<'cluster'> = { id: view.clusterId, tokenBase: view.token };
  const values = source.records.map(({ key, value }): [string, string] => [
    key,
    key === 'cluster' ? writeDocument('cluster', cluster) : value,
  ]);
  const puts = values.map(([key, value]): Change => ({ kind: 'put', key, value, ifRevision: 0 }));
  const result = await to.commit(puts);
  if (result.kind === 'conflict') throw notEmpty();

  await verify(to, values);
  if ((await from.list('')).revision !== source.revision) {
    await to.commit(values.map(([key]) => ({ kind: 'delete', key, ifRevision: result.revision })));
    throw notCopyable('it was changed meanwhile', 'try again while nobody else works with it');
  }
  return { clusterId: view.clusterId, units: view.unitNames.length, records: values.length };
}

/** Reads the copy as a command would. */
async function verify(to: Store, values: readonly [string, string][]): Promise<void> {
  const { records } = await to.list('');
  const found = new Map(records.map(({ key, value }) => [key, value]));
  const wrong = values.find(([key, value]) => found.get(key) !== value);
  if (wrong === undefined && found.size === values.length) {
    readDocument('cluster', 'cluster', found.get('cluster') ?? '');
    return;
  }
  throw notCopyable(
    `the copy is not the same at "${wrong?.[0] ?? ''}"`,
    'check whether somebody else writes to where it is copied to',
  );
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
