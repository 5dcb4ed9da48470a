import { FleetError } from '../../base/errors.ts';
import { answerOf, type EtcdClient } from './client.ts';
import { type Message, revisionOf, unchanged } from './messages.ts';
import { encodeRecord, type Keys, type Pieces } from './records.ts';
import {
  batches,
  type Commit,
  cut,
  nest,
  type Operation,
  PIECE_BYTES,
  put,
  putPieces,
  remove,
  type WriteResult,
  written,
} from './transaction.ts';

/**
 * Writes the first commit of a registry that takes more than one request, such as the copy of a large registry. The
 * records are written first, while the key `filling` exists, and the head last: until then readers find nothing, and no
 * other process can write. The next one removes an interrupted one; one that another process replaces fails.
 */
export async function fill(
  client: EtcdClient,
  keys: Keys,
  { before, after, changes, name }: Commit,
  head: Operation,
): Promise<WriteResult> {
  const isNew = unchanged(keys.head, '0');
  const left = [put(keys.filling, name), remove(...keys.records), remove(...keys.allPieces)];
  const begun = await client.call(
    'kv/txn',
    { compare: [isNew, unchanged(keys.filling, before.filling)], success: nest(left) },
    { once: true },
  );
  if (begun.succeeded !== true) return { kind: 'late' };
  const compare = [isNew, unchanged(keys.filling, `${revisionOf(begun)}`)];

  const pieces = new Map<string, Pieces>();
  const operations = changes.flatMap((change): readonly Operation[] => {
    if (change.kind !== 'put') return [];
    const { key, value } = change;
    if (Buffer.byteLength(value) <= PIECE_BYTES)
      return [put(keys.record(key), encodeRecord(after.revision, value))];
    const those = cut(value);
    pieces.set(key, those);
    return [put(keys.record(key), encodeRecord(after.revision, those)), ...putPieces(keys, those, value)];
  });
  for (const batch of batches(operations, BATCH_BYTES)) {
    const { succeeded } = await patiently(client, { compare, success: nest(batch) });
    if (succeeded !== true) throw overtaken();
  }
  const success = nest([head, remove(keys.filling)]);
  const result = await client.ask('kv/txn', { compare, success }, { once: true });
  if (result.kind === 'unreachable') return { kind: 'unanswered', error: result.error };
  const answer = answerOf(result);
  if (answer.succeeded !== true) throw overtaken();
  return written(after, answer, { prefixes: [''], commits: [name], pieces });
}

/** Less than a request may hold: with thousands of keys, etcd on a slow disk would not answer in time. */
const BATCH_BYTES = 65_536;

/** Puts until an endpoint has answered, up to five times: repeating it is harmless. */
async function patiently(client: EtcdClient, transaction: Message): Promise<Message> {
  for (let attempt = 1; ; attempt++) {
    const result = await client.ask('kv/txn', transaction);
    if (result.kind !== 'unreachable' || attempt === 5) return answerOf(result);
  }
}

/** The error for a commit to a registry that another process is filling. */
export function unfinished(): FleetError {
  return new FleetError(
    'registry-conflict',
    'Cannot change the etcd registry: a copy into it is not finished',
    { hint: 'Wait until it is finished; if it was interrupted, repeat it: fleetctl registry copy FROM TO' },
  );
}

function overtaken(): FleetError {
  return new FleetError('registry-conflict', 'Cannot fill the etcd registry: another process is filling it', {
    hint: 'Check its units before you try again: fleetctl list-unit-files',
  });
}
