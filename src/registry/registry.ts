import { randomUUID } from 'node:crypto';
import { FleetError, isFleetError } from '../base/errors.ts';
import type { Change, Store } from '../store/store.ts';
import { type Document, writeDocument } from './documents.ts';
import type { Edit, KnownMachine, RegistryOptions, StoredUnit } from './edit.ts';
import { heldText } from './kept-texts.ts';
import { logChanges } from './log.ts';
import { Unread } from './part.ts';
import { RegistryView } from './view.ts';

/** Typed, versioned documents over any store. */
export interface Registry extends PartialAccess {
  load(): Promise<RegistryView>;
  /** {@link PartialAccess.change} with the whole view, before and after. */
  update(decide: (view: RegistryView) => readonly Edit[], author?: string): Promise<RegistryView>;
}

/** Access that reads only the needed documents. */
interface PartialAccess {
  /**
   * The result of `use` for the current view. Documents are read when `use` needs them, all at one revision, and `use` is
   * called again, so it must depend only on the view.
   */
  read<T>(use: (view: RegistryView) => T): Promise<T>;
  /**
   * Applies the edits that `decide` returns for the current view, all or none, and returns the result of `use` for the view
   * after it. If another process was faster, `decide` is called again for the next view. Both must depend only on the view.
   * Without edits nothing is written. `author` is the user of this process by default.
   */
  change<T>(
    decide: (view: RegistryView) => readonly Edit[],
    use: (after: RegistryView) => T,
    author?: string,
  ): Promise<T>;
  /**
   * Resolves with true as soon as the registry is at another revision than `view`, and with false when `signal` aborts or
   * the registry is closed. No change is missed; several may be reported as one. Never rejects: `load` reports errors.
   */
  waitForChange(view: RegistryView, signal: AbortSignal): Promise<boolean>;
  close(): Promise<void>;
}

/** The functions of a registry on the whole view, added to the others. */
export function withWholeViews(access: PartialAccess): Registry {
  const whole = (view: RegistryView): RegistryView => view.whole;
  return {
    ...access,
    load: () => access.read(whole),
    update: (decide, author) => access.change((view) => decide(view.whole), whole, author),
  };
}

/** The registry; `onWhole` gets each view of all of it that is read, after its reader. */
export function withReader(registry: Registry, onWhole: (view: RegistryView) => void): Registry {
  return withWholeViews({
    ...registry,
    read: (use) =>
      registry.read((view) => {
        const result = use(view);
        if (view.isWhole) onWhole(view);
        return result;
      }),
  });
}

/** The limit of lost races; more of them indicate another problem. */
const ATTEMPTS = 100;

/** The result of a change that nothing is stored for, or the changes to store. */
type Decision<T> =
  | { readonly result: T }
  | { readonly view: RegistryView; readonly changes: readonly Change[] };

export function createRegistry(store: Store, options: RegistryOptions): Registry {
  let last: RegistryView | undefined;
  /** The views after a commit that lack the changes of others before it, and the revision up to which they have everything. */
  const gaps = new WeakMap<RegistryView, number>();
  const seenUntil = (view: RegistryView): number => gaps.get(view) ?? view.revision;
  const read = <T>(use: (view: RegistryView) => T): Promise<T> =>
    readParts(store, last, (view) => {
      const result = use(view);
      last = view;
      return result;
    });
  return withWholeViews({
    read,
    async change<T>(
      decide: (view: RegistryView) => readonly Edit[],
      use: (after: RegistryView) => T,
      author = options.author,
    ) {
      const decideOn = (view: RegistryView): Decision<T> => {
        const edits = decide(view);
        if (edits.length === 0) return { result: use(view) };
        const changes = changesFor(edits, view, { ...options, author });
        // Nothing can be read at the revision of the commit later, so `use` is tried on it before.
        use(view.after(changes, view.revision + 1));
        return { view, changes };
      };
      // The last view may be outdated, so it decides nothing unless a commit at its revision succeeds.
      let guess = store.commitsAt && last && guessed(decideOn, last);
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const decision = guess ?? (await read(decideOn));
        if ('result' in decision) return decision.result;
        const { view, changes } = decision;
        const result = await store.commit(changes, guess && view.revision);
        // The committed state, not the latest one, because tokens belong to this decision.
        if (result.kind === 'committed') {
          const after = view.after(changes, result.revision);
          const isNext = result.revision === view.revision + 1;
          if (!isNext) gaps.set(after, view.revision);
          last = isNext ? after : undefined;
          return use(after);
        }
        guess = undefined;
      }
      throw new FleetError(
        'registry-conflict',
        `Cannot change the registry: other processes were faster ${ATTEMPTS} times`,
        {
          hint: 'Try again when fewer commands run at the same time',
        },
      );
    },
    waitForChange: (view, signal) => store.waitForChange(seenUntil(view), signal),
    close: () => store.close(),
  });
}

/** Undefined if nothing would change or `decide` throws, because a view that may be outdated is no reason for either. */
function guessed<T>(
  decide: (view: RegistryView) => Decision<T>,
  view: RegistryView,
): Decision<T> | undefined {
  try {
    const decision = decide(view);
    return 'result' in decision ? undefined : decision;
  } catch (error) {
    if (error instanceof Unread || isFleetError(error)) return undefined;
    throw error;
  }
}

/** How many times a part is read before everything is: each takes a round trip. */
const PARTS = 6;

/** Reads as {@link PartialAccess.read} does. `last`, the last view, is used again if nothing has changed. */
async function readParts<T>(
  store: Store,
  last: RegistryView | undefined,
  use: (view: RegistryView) => T,
): Promise<T> {
  let prefixes: readonly string[] = [];
  let view = new RegistryView(0, [], prefixes);
  for (let parts = 1; ; parts++) {
    try {
      return use(view);
    } catch (error) {
      if (!(error instanceof Unread)) throw error;
      prefixes = store.sendsParts && parts < PARTS ? [...prefixes, ...error.prefixes] : [''];
    }
    const { revision, records } = await store.list('cluster', ...prefixes);
    view = last?.isOf(records) ? last : new RegistryView(revision, records, ['cluster', ...prefixes]);
  }
}

/** The changes of the store for `edits`; each depends on the revision of its record in the view. */
function changesFor(
  edits: readonly Edit[],
  { asWritten: view }: RegistryView,
  options: RegistryOptions,
): readonly Change[] {
  view.need('turn', 'events/', ...edits.flatMap(keysOf));
  const changes = new Map<string, Change>();
  const put = (key: string, value: string): void => {
    changes.set(key, { kind: 'put', key, value, ifRevision: view.revisionOf(key) });
  };
  if (view.clusterId === undefined) put('cluster', writeDocument('cluster', { id: randomUUID() }));
  if (edits.some(({ kind }) => CHANGES_UNITS.has(kind))) put('turn', writeDocument('turn', {}));
  const remove = (key: string): void => {
    changes.set(key, { kind: 'delete', key, ifRevision: view.revisionOf(key) });
  };
  const histories = new Map<string, Document<'history/'>>();
  const units = new Map<string, StoredUnit>();
  const putNow = (unit: StoredUnit): void => {
    units.set(unit.name, unit);
    putUnit(unit, view, options, put);
  };
  for (const edit of edits) {
    const name = nameIn(edit);
    const history = name === undefined ? undefined : (histories.get(name) ?? historyIn(view, name));
    if (name !== undefined && history !== undefined && changesHistory(edit, view))
      histories.set(name, historyAfter(edit, history, view, options));
    if (edit.kind === 'put-cluster')
      put('cluster', writeDocument('cluster', { id: edit.id, tokenBase: edit.tokenBase }));
    if (edit.kind === 'put-unit') putNow(withHold(edit.unit, view));
    const held = heldUnit(edit, units.get(name ?? '') ?? view.units.get(name ?? ''));
    if (held !== undefined) putNow(held);
    if (edit.kind === 'put-machine')
      put(`machines/${edit.name}`, writeDocument('machines/', withoutDefaults(edit.known)));
    if (edit.kind === 'delete-machine') putRemoved(edit, options, put);
    if (edit.kind === 'delete-unit') {
      remove(`units/${edit.name}`);
      const destroyed = { at: options.clock.now(), by: options.author };
      histories.set(edit.name, { ...(histories.get(edit.name) ?? historyIn(view, edit.name)), destroyed });
    }
  }
  for (const [name, history] of histories) put(`history/${name}`, writeDocument('history/', history));
  for (const change of logChanges(edits, view, options)) changes.set(change.key, change);
  return [...changes.values()];
}

/** The keys of what is stored beside a unit. */
function keysOf(edit: Edit): readonly string[] {
  if (edit.kind !== 'put-unit') return [];
  const { name, digest } = edit.unit;
  return [`history/${name}`, `contents/${digest}`];
}

function putUnit(
  unit: StoredUnit,
  view: RegistryView,
  { fleet }: RegistryOptions,
  put: (key: string, value: string) => void,
): void {
  const { name, text, digest, hash, target, machine, fromTemplate, set, held, unconfirmed } = unit;
  put(
    `units/${name}`,
    writeDocument('units/', { fleet, digest, hash, target, machine, fromTemplate, set, held, unconfirmed }),
  );
  if (text !== undefined && view.revisionOf(`contents/${digest}`) === 0)
    put(`contents/${digest}`, writeDocument('contents/', { text }));
}

const CHANGES_UNITS: ReadonlySet<Edit['kind']> = new Set([
  ...(['put-unit', 'delete-unit', 'put-cluster', 'hold-text', 'release-text'] as const),
]);

type OfHistory = Extract<Edit, { kind: 'put-unit' | 'judge-text' | 'hold-text' | 'release-text' }>;

/** The unit whose history the edit may change. */
function nameIn(edit: Edit): string | undefined {
  if (edit.kind === 'put-unit') return edit.unit.name;
  return edit.kind === 'judge-text' || edit.kind === 'hold-text' || edit.kind === 'release-text'
    ? edit.unit
    : undefined;
}

function changesHistory(edit: Edit, view: RegistryView): edit is OfHistory {
  return edit.kind === 'put-unit' ? isNewText(edit.unit, view) : nameIn(edit) !== undefined;
}

function isNewText({ name, digest, text }: StoredUnit, view: RegistryView): boolean {
  if (text === undefined) return false;
  const known = view.units.get(name) ?? view.unconfirmed.get(name);
  return known?.text === undefined || known.digest !== digest;
}

/** A text that has failed before is held again. */
function withHold(unit: StoredUnit, view: RegistryView): StoredUnit {
  return isNewText(unit, view) ? { ...unit, held: heldText(view, unit) } : unit;
}

/** The unit after a `hold-text` or a `release-text`; undefined for other edits, and if it has another text by now. */
function heldUnit(edit: Edit, unit: StoredUnit | undefined): StoredUnit | undefined {
  if (edit.kind !== 'hold-text' && edit.kind !== 'release-text') return undefined;
  if (unit === undefined || (edit.kind === 'hold-text' && edit.digest !== unit.digest)) return undefined;
  return { ...unit, held: edit.kind === 'hold-text' ? edit.held : undefined };
}

function historyIn(view: RegistryView, name: string): Document<'history/'> {
  return view.historyDocument(name) ?? { entries: [] };
}

/** The history of a unit after an edit: with a new text, or with another verdict. */
function historyAfter(
  edit: OfHistory,
  history: Document<'history/'>,
  view: RegistryView,
  { clock, author }: RegistryOptions,
): Document<'history/'> {
  const at = clock.now();
  switch (edit.kind) {
    case 'put-unit': {
      const { digest, hash } = edit.unit;
      const { destroyed, ...known } = history;
      const entry = {
        digest,
        hash,
        at,
        by: author,
        afterDestroy: destroyed === undefined ? undefined : true,
      };
      const held = heldText(view, edit.unit);
      const stored = { ...known, entries: [...known.entries, entry] };
      if (held === undefined || digest in (known.verdicts ?? {})) return stored;
      return { ...stored, verdicts: { ...known.verdicts, [digest]: { kind: 'failed', at, held } } };
    }
    case 'judge-text':
      return { ...history, verdicts: { ...history.verdicts, [edit.digest]: { kind: edit.verdict, at } } };
    case 'hold-text': {
      const { digest, held } = edit;
      return { ...history, verdicts: { ...history.verdicts, [digest]: { kind: 'failed', at, held } } };
    }
    case 'release-text': {
      const digest = view.units.get(edit.unit)?.digest ?? '';
      const { [digest]: _, ...verdicts } = history.verdicts ?? {};
      return { ...history, verdicts, released: { digest, token: view.token } };
    }
  }
}

function putRemoved(
  { name, renamedTo }: Extract<Edit, { kind: 'delete-machine' }>,
  { clock, author }: RegistryOptions,
  put: (key: string, value: string) => void,
): void {
  const removed = { at: clock.now(), by: author, renamedTo };
  put(`machines/${name}`, writeDocument('machines/', { removed }));
}

function withoutDefaults({ metadata = {}, distrusted, ...known }: KnownMachine): Document<'machines/'> {
  const hasMetadata = Object.keys(metadata).length > 0;
  return { ...known, metadata: hasMetadata ? metadata : undefined, distrusted: distrusted || undefined };
}

/**
 * A copy of `registry` in memory, for dry runs; `view` if it was loaded already. Its revisions continue after the real one, so
 * tokens are those that the next change would get.
 */
export function previewRegistry(registry: Registry, options: RegistryOptions, view?: RegistryView): Registry {
  let current = view === undefined ? undefined : Promise.resolve(view);
  const load = (): Promise<RegistryView> => {
    current ??= registry.load();
    return current;
  };
  return withWholeViews({
    ...registry,
    read: async (use) => use(await load()),
    async change(decide, use) {
      const view = await load();
      const edits = decide(view);
      const changes = edits.length === 0 ? [] : changesFor(edits, view, options);
      const after = edits.length === 0 ? view : view.after(changes, view.revision + 1);
      current = Promise.resolve(after);
      return use(after);
    },
  });
}
