import { createHash } from 'node:crypto';
import { FleetError } from '../base/errors.ts';
import { isRevision, type Snapshot } from './snapshot.ts';
import type { StoreRecord } from './store.ts';

/**
 * The text of a snapshot, made to be searched with grep and compared with diff:
 *
 *     {"fleet":"registry","format":1,"revision":7,"sha256":"…"}
 *     {"key":"unit/hello.service","revision":7,"value":"…"}
 *
 * one JSON object a line, records sorted by key, the last line ended too. `sha256` is over the whole file
 * with `,"sha256":"…"` left out of the first line, so that it guards the revision as well.
 */
const FORMAT = 1;

export function encodeSnapshot({ revision, records }: Snapshot): Buffer {
  const body = Buffer.from(records.map((record) => `${lineOf(record)}\n`).join(''));
  return Buffer.concat([Buffer.from(`${encodeHeader(revision, checksum(revision, body))}\n`), body]);
}

/**
 * Reads what `encodeSnapshot` wrote. `path` is for messages only.
 * Throws `registry-newer` for a format of a later version and `registry-corrupt`, with the line, for
 * all other text that differs from what `encodeSnapshot` writes.
 */
export function decodeSnapshot(path: string, bytes: Buffer): Snapshot {
  const headerEnd = bytes.indexOf('\n');
  if (headerEnd < 0) throw corrupt(path, 1, bytes.length === 0 ? 'the file is empty' : 'the line is cut off');
  const headerLine = bytes.toString('utf8', 0, headerEnd);
  const header = parseHeader(path, headerLine);
  const body = bytes.subarray(headerEnd + 1);
  const sum = checksum(header.revision, body);
  const isIntact = header.sha256 === sum;
  const records = parseRecords(path, body.toString('utf8'), header.revision, isIntact);
  if (!isIntact) throw corrupt(path, 1, 'the checksum does not match the contents');
  if (headerLine !== encodeHeader(header.revision, sum))
    throw corrupt(path, 1, 'not a header as fleet writes it');
  return { revision: header.revision, records };
}

function encodeHeader(revision: number, sha256: string): string {
  return JSON.stringify({ fleet: 'registry', format: FORMAT, revision, sha256 });
}

/** A record whose value is parsed on first use: a command needs few of thousands. */
class LineRecord implements StoreRecord {
  readonly key: string;
  readonly revision: number;
  readonly source: LineSource;

  constructor(key: string, revision: number, source: LineSource) {
    this.key = key;
    this.revision = revision;
    this.source = source;
  }

  get value(): string {
    const { path, line, text, valueAt } = this.source;
    return String(parseJson(path, line, text.slice(valueAt, -1)));
  }

  toJSON(): StoreRecord {
    const { key, value, revision } = this;
    return { key, value, revision };
  }
}

/** `valueAt` is the index of the value in the text. */
type LineSource = {
  readonly path: string;
  readonly line: number;
  readonly text: string;
  readonly valueAt: number;
};

/** The line of a record; a line that was read is used as it is. */
function lineOf(record: StoreRecord): string {
  return record instanceof LineRecord ? record.source.text : encodeRecord(record);
}

function encodeRecord({ key, revision, value }: StoreRecord): string {
  return JSON.stringify({ key, revision, value });
}

function checksum(revision: number, body: Buffer): string {
  const header = JSON.stringify({ fleet: 'registry', format: FORMAT, revision });
  return createHash('sha256').update(`${header}\n`).update(body).digest('hex');
}

function parseHeader(path: string, line: string): { readonly revision: number; readonly sha256: unknown } {
  const { fleet, format, revision, sha256 } = parseObject(path, 1, line);
  if (fleet !== 'registry' || !isRevision(format))
    throw corrupt(path, 1, 'not the header of a fleet registry');
  if (format > FORMAT) {
    throw new FleetError(
      'registry-newer',
      `could not read the registry "${path}": it is of format ${format}, and this version knows format ${FORMAT}`,
      { hint: 'a newer fleetctl wrote it: update fleetctl here' },
    );
  }
  if (!isRevision(revision)) throw corrupt(path, 1, `bad revision: ${JSON.stringify(revision)}`);
  return { revision, sha256 };
}

/** `isIntact`: the checksum is right, so a line that has the form of {@link encodeRecord} is one of its lines. */
function parseRecords(path: string, body: string, newest: number, isIntact: boolean): StoreRecord[] {
  const lines = body.split('\n');
  if (lines.pop() !== '') throw corrupt(path, lines.length + 2, 'the line is cut off');
  let last: string | undefined;
  return lines.map((text, index) => {
    const line = index + 2;
    const record = (isIntact ? lineRecord(path, line, text) : undefined) ?? parseRecord(path, line, text);
    const { key, revision } = record;
    if (!isRevision(revision) || revision > newest) {
      throw corrupt(path, line, `bad revision: ${JSON.stringify(revision)}`);
    }
    if (last !== undefined && key <= last)
      throw corrupt(path, line, `key out of order: ${JSON.stringify(key)}`);
    last = key;
    return record;
  });
}

function parseRecord(path: string, line: number, text: string): StoreRecord {
  const { key, revision, value } = parseObject(path, line, text);
  if (typeof key !== 'string' || typeof value !== 'string')
    throw corrupt(path, line, 'not a key with its value');
  return { key, value, revision: Number(revision) };
}

const KEY_START = '{"key":"';
const KEY_END = '","revision":';
const VALUE_START = ',"value":"';

/** The record of a line that {@link encodeRecord} has made; undefined for a line of another form, such as a key with an escape. */
function lineRecord(path: string, line: number, text: string): LineRecord | undefined {
  const keyEnd = text.indexOf(KEY_END);
  const revisionEnd = text.indexOf(VALUE_START, keyEnd);
  if (!text.startsWith(KEY_START) || keyEnd < 0 || revisionEnd < 0 || !text.endsWith('"}')) return undefined;
  const key = text.slice(KEY_START.length, keyEnd);
  const revision = Number(text.slice(keyEnd + KEY_END.length, revisionEnd));
  if (key.includes('\\') || key.includes('"') || !isRevision(revision)) return undefined;
  return new LineRecord(key, revision, { path, line, text, valueAt: revisionEnd + VALUE_START.length - 1 });
}

function parseObject(path: string, line: number, text: string): Record<string, unknown> {
  const parsed = parseJson(path, line, text);
  if (typeof parsed !== 'object' || parsed === null) throw corrupt(path, line, 'not a JSON object');
  return { ...parsed };
}

function parseJson(path: string, line: number, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw corrupt(path, line, 'not JSON', cause);
  }
}

function corrupt(path: string, line: number, what: string, cause?: unknown): FleetError {
  return new FleetError('registry-corrupt', `the registry "${path}" is damaged in line ${line}: ${what}`, {
    hint: 'restore this file from a backup; fleetctl does not change a damaged registry',
    cause,
  });
}
