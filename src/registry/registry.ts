import { randomUUID } from 'node:crypto';
import { FleetError, isFleetError } from '../base/errors.ts';
import type { Change, Store } from '../store/store.ts';
import { type Document, writeDocument } from './documents.ts';
import type { Edit, KnownMachine, RegistryOptions, StoredUnit } from './edit.ts';
import { logChanges } from './log.ts';
import { RegistryView } from './view.ts';

/** Typed, versioned documents over any store. */
export interface Registry {
  load(): Promise<RegistryView>;
  /**
   * Applies the edits that `decide` returns for the current view, all or none. If another process was faster, loads the
   * view and calls `decide` again, so `decide` must depend only on the view. Without edits nothing is written. `author` is
   * the user of this process by default.
   */
  update(decide: (view: RegistryView) => readonly Edit[], author?: string): Promise<RegistryView>;
  /**
   * Resolves with true as soon as the registry is at another revision than `view`, and with false when `signal` aborts or
   * the registry is closed. No change is missed; several may be reported as one. Never rejects: `load` reports errors.
   */
  waitForChange(view: RegistryView, signal: AbortSignal): Promise<boolean>;
  close(): Promise<void>;
}

/** The limit of lost races; more of them indicate another problem. */
const ATTEMPTS = 100;

export function createRegistry(store: Store, options: RegistryOptions): Registry {
  let last: RegistryView | undefined;
  const load = async (): Promise<RegistryView> => {
    const { revision, records } = await store.list('');
    last = new RegistryView(revision, records);
    return last;
  };
  return {
    load,
    async update(decide, author = options.author) {
      // The last view may be outdated, so it decides nothing unless a commit at its revision succeeds.
      let guess = store.commitsAt ? last : undefined;
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const edits = guess && editsFor(decide, guess);
        if (edits?.length === 0) guess = undefined;
        const view = guess ?? (await load());
        const wanted = (guess && edits) ?? decide(view);
        if (wanted.length === 0) return view;
        const changes = changesFor(wanted, view, { ...options, author });
        const result = await store.commit(changes, guess?.revision);
        // The committed state, not the latest one, because tokens belong to this decision.
        if (result.kind === 'committed') {
          last = view.after(changes, result.revision);
          return last;
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
    waitForChange: (view, signal) => store.waitForChange(view.revision, signal),
    close: () => store.close(),
  };
}

/** None if `decide` throws, because a view that may be outdated is no reason to refuse. */
function editsFor(decide: (view: RegistryView) => readonly Edit[], view: RegistryView): readonly Edit[] {
  try {
    return decide(view);
  } catch (error) {
    if (isFleetError(error)) return [];
    throw error;
  }
}

/** The changes of the store for `edits`; each depends on the revision of its record in the view. */
function changesFor(edits: readonly Edit[], view: RegistryView, options: RegistryOptions): readonly Change[] {
  const changes = new Map<string, Change>();
  const put = (key: string, value: string): void => {
    changes.set(key, { kind: 'put', key, value, ifRevision: view.revisionOf(key) });
  };
  if (view.clusterId === undefined) put('cluster', writeDocument('cluster', { id: randomUUID() }));
  if (edits.some(({ kind }) => kind === 'put-unit' || kind === 'delete-unit' || kind === 'put-cluster'))
    put('turn', writeDocument('turn', {}));
  const remove = (key: string): void => {
    changes.set(key, { kind: 'delete', key, ifRevision: view.revisionOf(key) });
  };
  const histories = new Map<string, Document<'history/'>>();
  for (const edit of edits) {
    if (edit.kind === 'judge-text' || isNewText(edit, view)) {
      const name = edit.kind === 'judge-text' ? edit.unit : edit.unit.name;
      histories.set(name, historyAfter(edit, histories.get(name) ?? historyIn(view, name), options));
    }
    if (edit.kind === 'put-cluster')
      put('cluster', writeDocument('cluster', { id: edit.id, tokenBase: edit.tokenBase }));
    if (edit.kind === 'put-unit') putUnit(edit.unit, view, options, put);
    if (edit.kind === 'put-machine')
      put(`machines/${edit.name}`, writeDocument('machines/', clean(edit.known)));
    if (edit.kind === 'delete-machine') putRemoved(edit, options, put);
    if (edit.kind === 'delete-unit') {
      remove(`units/${edit.name}`);
      const history = histories.get(edit.name) ?? historyIn(view, edit.name);
      const destroyed = { at: options.clock.now(), by: options.author };
      histories.set(edit.name, { ...history, destroyed });
    }
  }
  for (const [name, history] of histories) put(`history/${name}`, writeDocument('history/', history));
  for (const change of logChanges(edits, view, options)) changes.set(change.key, change);
  return [...changes.values()];
}

function putUnit(
  unit: StoredUnit,
  view: RegistryView,
  { fleet }: RegistryOptions,
  put: (key: string, value: string) => void,
): void {
  const { name, text, digest, hash, target, machine, fromTemplate, set, unconfirmed } = unit;
  put(
    `units/${name}`,
    writeDocument('units/', {
      ...(fleet !== undefined && { fleet }),
      digest,
      hash,
      target,
      ...(machine !== undefined && { machine }),
      ...(fromTemplate !== undefined && { fromTemplate }),
      ...(set !== undefined && { set }),
      ...(unconfirmed !== undefined && { unconfirmed }),
    }),
  );
  if (view.revisionOf(`contents/${digest}`) === 0)
    put(`contents/${digest}`, writeDocument('contents/', { text }));
}

type NewText = Extract<Edit, { kind: 'put-unit' }>;

function isNewText(edit: Edit, view: RegistryView): edit is NewText {
  if (edit.kind !== 'put-unit') return false;
  const { name, digest } = edit.unit;
  return (view.units.get(name) ?? view.unconfirmed.get(name))?.digest !== digest;
}

function historyIn(view: RegistryView, name: string): Document<'history/'> {
  const verdicts = view.verdicts(name);
  const destroyed = view.destroyed(name);
  return {
    entries: [...view.history(name)],
    ...(Object.keys(verdicts).length > 0 && { verdicts }),
    ...(destroyed !== undefined && { destroyed }),
  };
}

/** The history of a unit after an edit: with a new text, or with a new verdict. */
function historyAfter(
  edit: NewText | Extract<Edit, { kind: 'judge-text' }>,
  history: Document<'history/'>,
  { clock, author }: RegistryOptions,
): Document<'history/'> {
  if (edit.kind === 'judge-text') {
    const verdict = { kind: edit.verdict, at: clock.now() };
    return { ...history, verdicts: { ...history.verdicts, [edit.digest]: verdict } };
  }
  const { digest, hash } = edit.unit;
  const { destroyed: _, ...known } = history;
  return { ...known, entries: [...known.entries, { digest, hash, at: clock.now(), by: author }] };
}

function putRemoved(
  { name, renamedTo }: Extract<Edit, { kind: 'delete-machine' }>,
  { clock, author }: RegistryOptions,
  put: (key: string, value: string) => void,
): void {
  const removed = { at: clock.now(), by: author, ...(renamedTo !== undefined && { renamedTo }) };
  put(`machines/${name}`, writeDocument('machines/', { removed }));
}

function clean({
  address,
  metadata = {},
  id,
  silentSince,
  silence,
  backSince,
  cordon,
  ahead,
  distrusted,
}: KnownMachine): Document<'machines/'> {
  return {
    ...(address !== undefined && { address }),
    ...(Object.keys(metadata).length > 0 && { metadata }),
    ...(id !== undefined && { id }),
    ...(silentSince !== undefined && { silentSince }),
    ...(silence !== undefined && { silence }),
    ...(backSince !== undefined && { backSince }),
    ...(cordon !== undefined && { cordon }),
    ...(ahead !== undefined && { ahead }),
    ...(distrusted && { distrusted }),
  };
}

/**
 * A copy of `registry` in memory, for dry runs. Its revisions continue after the real one, so tokens are those that the
 * next change would get.
 */
export function previewRegistry(registry: Registry, options: RegistryOptions): Registry {
  let current: Promise<RegistryView> | undefined;
  const load = (): Promise<RegistryView> => {
    current ??= registry.load();
    return current;
  };
  return {
    load,
    async update(decide) {
      const view = await load();
      const edits = decide(view);
      if (edits.length > 0) {
        current = Promise.resolve(view.after(changesFor(edits, view, options), view.revision + 1));
      }
      return load();
    },
    waitForChange: (view, signal) => registry.waitForChange(view, signal),
    close: () => registry.close(),
  };
}
