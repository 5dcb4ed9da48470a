import * as z from 'zod/mini';
import { FleetError } from '../base/errors.ts';
import { compareText } from '../base/text.ts';
import { MAX_TOKEN } from '../cluster/snapshot.ts';
import { parseAddress } from '../config/address.ts';

/** The version of the documents that this program writes, and the newest one that it reads. */
const VERSION = 1;

const DIGEST = /^[0-9a-f]{64}$/;
const HASH = /^[0-9a-f]{40}$/;
const MACHINE_ID = /^[0-9a-f]{32}$/;
const TARGET = ['inactive', 'loaded', 'launched'] as const;

const digest = () => z.string().check(z.regex(DIGEST));
const hash = () => z.string().check(z.regex(HASH));
const token = () => z.int().check(z.minimum(0), z.maximum(MAX_TOKEN));
const machineId = () => z.string().check(z.regex(MACHINE_ID));
/** The name of a set, which is usually that of a folder. */
export const SET_NAME = /^[A-Za-z0-9_][\w.-]{0,62}$/;
/** The range of a Date, in ms; steady clocks have fractions. */
const time = () => z.number().check(z.minimum(0), z.maximum(8.64e15));
/** It is used in scripts, in messages and in a line of a file. */
const clusterId = () => z.string().check(z.regex(/^[\w.-]{1,100}$/));

const address = () => z.string().check(z.refine((text) => parseAddress(text) !== undefined));
/** The keys and values that {@link parseMetadata} reads. */
const metadata = () =>
  z.record(z.string().check(z.regex(/^[^=,\s]+$/)), z.string().check(z.regex(/^[^,\s]+$/)));
/** The time and the author of a command. */
const made = () => ({ at: time(), by: z.string() });
/** See {@link Held}; the cause of a newer program may have other fields. */
const held = () =>
  z.object({
    at: time(),
    machines: z.array(z.object({ id: machineId(), name: z.string() })),
    cause: z.looseObject({ kind: z.string() }),
  });

const loggedMachine = () => z.object({ id: machineId(), name: z.optional(z.string()) });
/** The fields of all {@link LoggedEvent}s; one of a newer program may have others. */
const loggedEvent = () =>
  z.looseObject({
    kind: z.string(),
    unit: z.optional(z.string()),
    machine: z.optional(z.string()),
    from: z.optional(loggedMachine()),
    to: z.optional(loggedMachine()),
    silentMs: z.optional(time()),
    because: z.optional(z.looseObject({ code: z.string() })),
    failure: z.optional(z.looseObject({ code: z.string() })),
  });

/**
 * Prefix of the keys → the shape of the documents, without `version`. It is made when a document of that kind is first read:
 * all together take milliseconds, and completion reads none.
 */
const SHAPES = {
  /**
   * The id of the cluster, a UUID that machines record. `tokenBase` is the highest token of the machines at the time when
   * the registry was rebuilt from them: revisions count from 1 again, and tokens continue after it.
   */
  cluster: () => z.object({ id: clusterId(), tokenBase: z.optional(token()) }),
  /**
   * A unit. `digest` names its text under `contents/`. `fromTemplate`: whether an instance has the text of its template or
   * of a separate file; absent if unknown. `set` is the set that it was applied with. `fleet` is the version of the program that stored it: an older one may not know
   * an option of the text. `unconfirmed`: since a recovery, only `machine` (its name) confirms the unit and its target
   * state; `target` is then `inactive`, for programs that do not know this field. If no machine had its text, `contents/`
   * lacks it. `held`: the text has failed.
   */
  'units/': () =>
    z.object({
      fleet: z.optional(z.string()),
      digest: digest(),
      hash: hash(),
      target: z.enum(TARGET),
      machine: z.optional(machineId()),
      fromTemplate: z.optional(z.boolean()),
      set: z.optional(z.string().check(z.regex(SET_NAME))),
      held: z.optional(held()),
      unconfirmed: z.optional(z.object({ machine: z.string(), target: z.enum(TARGET) })),
    }),
  /** A unit file, under the SHA-256 of its bytes; never changed. */
  'contents/': () => z.object({ text: z.string() }),
  /**
   * The texts of a unit name, oldest first; kept after the unit is destroyed. `at` is epoch ms. `afterDestroy`: the first text
   * of a unit with the name of a destroyed one. `verdicts`, by digest: the
   * result of the last start of a text, and its time; `held` if it failed after it had replaced another text, so that it is
   * held again when the unit gets it again. `released`: the last text that a command released, and the token of that time.
   * `destroyed`: the unit's document was deleted by a command, and is not
   * lost; up to 0.1.0 only an event records that.
   */
  'history/': () =>
    z.object({
      entries: z.array(
        z.object({
          digest: digest(),
          hash: hash(),
          at: time(),
          by: z.string(),
          afterDestroy: z.optional(z.boolean()),
        }),
      ),
      verdicts: z.optional(
        z.record(
          z.string(),
          z.object({ kind: z.enum(['good', 'failed']), at: time(), held: z.optional(held()) }),
        ),
      ),
      released: z.optional(z.object({ digest: digest(), token: token() })),
      destroyed: z.optional(z.object(made())),
    }),
  /**
   * A machine: its address as all operators reach it, its metadata, its id, and since when it is unreachable (`silence`) or back (`backSince`, epoch ms). `silence` has the
   * epoch ms of the first record, and the first and last observation of each observer, by that observer's uptime in ms.
   * `silentSince` is the record of version 0.1.0, without observer and clock. `cordon` keeps new units from it: standard
   * ones, or all. `ahead` is a token of the machine that this registry had not issued and no other machine confirmed;
   * `distrusted`: an operator has excluded it. A document of version 0.1.0 has no address: fleet.conf has it. `removed`: the
   * name is free, and a fleet.conf that still has it does not add it again; `renamedTo` is the new name of the machine.
   */
  'machines/': () =>
    z.object({
      address: z.optional(address()),
      metadata: z.optional(metadata()),
      removed: z.optional(z.object({ ...made(), renamedTo: z.optional(z.string()) })),
      id: z.optional(machineId()),
      silentSince: z.optional(time()),
      silence: z.optional(
        z.object({
          at: time(),
          seenBy: z.record(z.string(), z.object({ first: time(), last: time() })),
        }),
      ),
      backSince: z.optional(time()),
      cordon: z.optional(z.enum(['standard', 'all'])),
      ahead: z.optional(token()),
      distrusted: z.optional(z.boolean()),
    }),
  /** The {@link LoggedEvent}s of one change, its time and its author; the newest changes are kept. */
  'events/': () =>
    z.object({
      at: time(),
      by: z.string(),
      events: z.array(loggedEvent()),
    }),
  /** Changed with every change of units, so that two decisions are never based on the same state. */
  turn: () => z.object({}),
} as const;

export type DocumentKind = keyof typeof SHAPES;
export type Document<K extends DocumentKind> = Unchanging<z.infer<ReturnType<(typeof SHAPES)[K]>>>;

/** The same value, of which no part is changed. */
type Unchanging<T> = T extends readonly (infer Item)[]
  ? readonly Unchanging<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Unchanging<T[Key]> }
    : T;

const shapes = new Map<DocumentKind, z.ZodMiniType>();

function shapeOf(kind: DocumentKind): z.ZodMiniType {
  const known = shapes.get(kind) ?? SHAPES[kind]();
  shapes.set(kind, known);
  return known;
}

/** The text stored for a document, without its undefined fields. */
export function writeDocument<K extends DocumentKind>(_kind: K, document: Document<K>): string {
  return JSON.stringify({ version: VERSION, ...document });
}

/** Reads a stored document. Throws FleetError `registry-newer` or `registry-corrupt` that names its key. */
export function readDocument<K extends DocumentKind>(kind: K, key: string, text: string): Document<K> {
  const value = parse(key, text);
  const version = versionOf(value);
  if (version !== undefined && version > VERSION) {
    throw new FleetError(
      'registry-newer',
      `Cannot read "${key}" of the registry: it was written by a newer fleet: version ${version}, this one reads up to ${VERSION}`,
      { hint: 'Update fleet here' },
    );
  }
  const plain = version === undefined ? undefined : plainDocument(kind, value);
  if (plain !== undefined) return plain as Document<K>;
  const result = z.safeParse(shapeOf(kind), value);
  if (result.success && version !== undefined) return result.data as Document<K>;
  throw corrupt(key, result.success ? 'it has no version' : describe(result.error));
}

/** The pattern or the type of a value. */
type Plain = RegExp | 'string' | 'boolean' | readonly string[];

/**
 * The kinds with thousands of documents: the fields that a document must have, and all that most have. They are checked here,
 * because a schema takes ten times as long. Any other document, right or wrong, is for its schema.
 */
const PLAIN: ReadonlyMap<DocumentKind, { must: readonly string[]; fields: ReadonlyMap<string, Plain> }> =
  new Map([
    [
      'units/',
      {
        must: ['digest', 'hash', 'target'],
        fields: new Map<string, Plain>([
          ['fleet', 'string'],
          ['digest', DIGEST],
          ['hash', HASH],
          ['target', TARGET],
          ['machine', MACHINE_ID],
          ['fromTemplate', 'boolean'],
          ['set', SET_NAME],
        ]),
      },
    ],
    ['contents/', { must: ['text'], fields: new Map<string, Plain>([['text', 'string']]) }],
  ]);

/** The document, if it has only such fields; otherwise undefined. */
function plainDocument(kind: DocumentKind, value: unknown): object | undefined {
  const known = PLAIN.get(kind);
  if (known === undefined) return undefined;
  const { version: _, ...document } = value as Readonly<Record<string, unknown>>;
  for (const field of Object.keys(document)) {
    const plain = known.fields.get(field);
    if (plain === undefined || !isPlain(plain, document[field])) return undefined;
  }
  return known.must.every((field) => Object.hasOwn(document, field)) ? document : undefined;
}

function isPlain(plain: Plain, value: unknown): boolean {
  if (plain === 'boolean') return typeof value === 'boolean';
  if (typeof value !== 'string') return false;
  return plain === 'string' || (plain instanceof RegExp ? plain.test(value) : plain.includes(value));
}

/** The error for a document that neither this nor an older program can have written; `what` is the end of its message. */
export function corrupt(key: string, what: string, cause?: unknown): FleetError {
  return new FleetError('registry-corrupt', `Cannot read "${key}" of the registry: ${what}`, {
    hint: 'Restore the registry from a backup',
    cause,
  });
}

/** What all documents have; read without a schema, because a registry holds thousands of them. */
function versionOf(value: unknown): number | undefined {
  const { version } = Object(value) as { readonly version?: unknown };
  return typeof version === 'number' ? version : undefined;
}

function parse(key: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw corrupt(key, 'not JSON', cause);
  }
}

function describe(error: z.core.$ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined || issue.path.length === 0) return 'not an object with the fields it should have';
  return `${issue.path.join('.')}: ${issue.message}`;
}

/** The key, below `events/`, for the revision of a change. Keys of 0.1.0 were `TIME-REVISION` and sort before it. */
export function eventKey(revision: number): string {
  return `r${String(revision).padStart(16, '0')}`;
}

/** Sorts such keys by revision, oldest first, because the clocks of their authors differ. */
export function sortEventKeys(keys: readonly string[]): readonly string[] {
  const revision = (key: string): number => Number(/\d+$/.exec(key)?.[0] ?? 0);
  return keys.toSorted((a, b) => revision(a) - revision(b) || compareText(a, b));
}
