import * as z from 'zod/mini';
import { FleetError } from '../base/errors.ts';
import { compareText } from '../base/text.ts';
import { MAX_TOKEN } from '../cluster/snapshot.ts';

/** The version of documents this program writes, and the newest it reads. */
const VERSION = 1;

const digest = z.string().check(z.regex(/^[0-9a-f]{64}$/));
const hash = z.string().check(z.regex(/^[0-9a-f]{40}$/));
const token = z.int().check(z.minimum(0), z.maximum(MAX_TOKEN));
const machineId = z.string().check(z.regex(/^[0-9a-f]{32}$/));
/** What a Date can hold, in ms; clocks that never jump count in fractions. */
const time = z.number().check(z.minimum(0), z.maximum(8.64e15));
/** In scripts, in messages and in a line of a file. */
const clusterId = z.string().check(z.regex(/^[\w.-]{1,100}$/));

const loggedMachine = z.object({ id: machineId, name: z.optional(z.string()) });
/** The fields of all {@link LoggedEvent}s; one of a newer program may have others. */
const loggedEvent = z.looseObject({
  kind: z.string(),
  unit: z.optional(z.string()),
  machine: z.optional(z.string()),
  from: z.optional(loggedMachine),
  to: z.optional(loggedMachine),
  silentMs: z.optional(time),
  because: z.optional(z.looseObject({ code: z.string() })),
  failure: z.optional(z.looseObject({ code: z.string() })),
});

/** Every kind of document: how its keys start, and its shape beside `version`. */
const SHAPES = {
  /**
   * Who this cluster is: its id, a UUID that machines remember. `tokenBase` is the highest token that machines had
   * seen when the registry was rebuilt from them: revisions count from 1 again, and tokens continue from there.
   */
  cluster: z.object({ id: clusterId, tokenBase: z.optional(token) }),
  /**
   * What is wanted of a unit. `digest` names its text under `contents/`. `fromTemplate` tells whether an instance has the
   * text of its template or its own file; absent where that is not known. `fleet` is the version of the program
   * that stored it: an older one may not know an option of the text. `unconfirmed` is what `machine` (its name) alone
   * vouches for since the registry was rebuilt; the target state is `inactive` then, for programs that do not know it.
   */
  'units/': z.object({
    fleet: z.optional(z.string()),
    digest,
    hash,
    target: z.enum(['inactive', 'loaded', 'launched']),
    machine: z.optional(machineId),
    fromTemplate: z.optional(z.boolean()),
    unconfirmed: z.optional(
      z.object({ machine: z.string(), target: z.enum(['inactive', 'loaded', 'launched']) }),
    ),
  }),
  /** A unit file, under the SHA-256 of its bytes; never changed. */
  'contents/': z.object({ text: z.string() }),
  /**
   * The texts a unit name has had, oldest first; kept when the unit is destroyed. `at` is epoch ms. `verdicts`, by digest:
   * whether a text came up when it was started last, and since when that has been known. `destroyed` tells that the unit's
   * document was deleted by a command, and is not lost; until 0.1.0 only the event of that says so.
   */
  'history/': z.object({
    entries: z.array(z.object({ digest, hash, at: time, by: z.string() })),
    verdicts: z.optional(z.record(z.string(), z.object({ kind: z.enum(['good', 'failed']), at: time }))),
    destroyed: z.optional(z.object({ at: time, by: z.string() })),
  }),
  /**
   * What is known of a machine: its id, its silence, or epoch ms since when it has been back from its last one.
   * `silence` has epoch ms at which anyone noted it first, and what each observer has seen, by that observer's uptime
   * in ms. `silentSince` is what version 0.1.0 notes instead: it tells neither who saw it nor by which clock.
   * `cordon` keeps new units from it: standard ones, or all. `ahead` is a token that it has seen and this registry had
   * not given, while no other machine confirmed that; `distrusted` tells that an operator has excluded it.
   */
  'machines/': z.object({
    id: z.optional(machineId),
    silentSince: z.optional(time),
    silence: z.optional(
      z.object({
        at: time,
        seenBy: z.record(z.string(), z.object({ first: time, last: time })),
      }),
    ),
    backSince: z.optional(time),
    cordon: z.optional(z.enum(['standard', 'all'])),
    ahead: z.optional(token),
    distrusted: z.optional(z.boolean()),
  }),
  /** What was decided at one time, and by whom; the newest are kept. `events` are {@link LoggedEvent}s. */
  'events/': z.object({
    at: time,
    by: z.string(),
    events: z.array(loggedEvent),
  }),
  /** Changed with every change of units, so that two decisions never rest on the same state. */
  turn: z.object({}),
} as const;

export type DocumentKind = keyof typeof SHAPES;
export type Document<K extends DocumentKind> = z.infer<(typeof SHAPES)[K]>;

/** The text stored for a document. */
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
  const result = z.safeParse(SHAPES[kind], value);
  if (result.success && version !== undefined) return result.data as Document<K>;
  throw corrupt(key, result.success ? 'it has no version' : describe(result.error));
}

/** The error for a document that cannot be what this or an older program wrote; `what` ends its message. */
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

/** The key, below `events/`, of what is decided at a revision. Keys of 0.1.0 were `TIME-REVISION` and sort before it. */
export function eventKey(revision: number): string {
  return `r${String(revision).padStart(16, '0')}`;
}

/** Such keys, oldest first: in the order of revisions, for the clocks of those who write them differ. */
export function sortEventKeys(keys: readonly string[]): readonly string[] {
  const revision = (key: string): number => Number(/\d+$/.exec(key)?.[0] ?? 0);
  return keys.toSorted((a, b) => revision(a) - revision(b) || compareText(a, b));
}
