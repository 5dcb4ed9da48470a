import { randomUUID } from 'node:crypto';
import { FleetError } from '../base/errors.ts';
import type { Change, Store } from '../store/store.ts';
import { type Document, writeDocument } from './documents.ts';
import type { Edit, RegistryOptions, StoredUnit } from './edit.ts';
import { logChanges } from './log.ts';
import { type KnownMachine, RegistryView } from './view.ts';

/** Typed, versioned documents over any store. */
export interface Registry {
  load(): Promise<RegistryView>;
  /**
   * Applies what `decide` makes of the current view, all or nothing. When somebody else was faster, loads
   * again and asks `decide` again, so it must depend on nothing but the view. No edits, no write.
   */
  update(decide: (view: RegistryView) => readonly Edit[]): Promise<RegistryView>;
  /**
   * Resolves with true once the registry is at another revision than `view`, and with false when `signal` aborts or
   * the registry is closed. No change is missed; several may be told as one. Never rejects: `load` says what is wrong.
   */
  waitForChange(view: RegistryView, signal: AbortSignal): Promise<boolean>;
  close(): Promise<void>;
}

/** So many processes would have to win before us that something else must be wrong. */
const ATTEMPTS = 100;

export function createRegistry(store: Store, options: RegistryOptions): Registry {
  const load = async (): Promise<RegistryView> => {
    const { revision, records } = await store.list('');
    return new RegistryView(revision, records);
  };
  return {
    load,
    async update(decide) {
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const view = await load();
        const edits = decide(view);
        if (edits.length === 0) return view;
        const changes = changesFor(edits, view, options);
        const result = await store.commit(changes);
        // What was committed, not what others have made of it since: tokens go with this decision.
        if (result.kind === 'committed') return view.after(changes, result.revision);
      }
      throw new FleetError(
        'registry-conflict',
        `Cannot change the registry: others were faster ${ATTEMPTS} times`,
        {
          hint: 'Try again when fewer commands run at the same time',
        },
      );
    },
    waitForChange: (view, signal) => store.waitForChange(view.revision, signal),
    close: () => store.close(),
  };
}

/** What the store is asked to commit for `edits`; every change rests on the view it was decided from. */
export function changesFor(
  edits: readonly Edit[],
  view: RegistryView,
  options: RegistryOptions,
): readonly Change[] {
  const changes = new Map<string, Change>();
  const put = (key: string, value: string): void => {
    changes.set(key, { kind: 'put', key, value, ifRevision: view.revisionOf(key) });
  };
  if (view.clusterId === undefined) put('cluster', writeDocument('cluster', { id: randomUUID() }));
  if (edits.some(({ kind }) => kind !== 'put-machine' && kind !== 'log'))
    put('turn', writeDocument('turn', {}));
  for (const edit of edits) {
    if (edit.kind === 'put-cluster')
      put('cluster', writeDocument('cluster', { id: edit.id, tokenBase: edit.tokenBase }));
    if (edit.kind === 'put-unit') putUnit(edit.unit, view, options, put);
    if (edit.kind === 'put-machine')
      put(`machines/${edit.name}`, writeDocument('machines/', clean(edit.known)));
    if (edit.kind === 'delete-unit') {
      const key = `units/${edit.name}`;
      changes.set(key, { kind: 'delete', key, ifRevision: view.revisionOf(key) });
    }
  }
  for (const change of logChanges(edits, view, options)) changes.set(change.key, change);
  return [...changes.values()];
}

function putUnit(
  unit: StoredUnit,
  view: RegistryView,
  { clock, author }: RegistryOptions,
  put: (key: string, value: string) => void,
): void {
  const { name, text, digest, hash, target, machine } = unit;
  put(
    `units/${name}`,
    writeDocument('units/', { digest, hash, target, ...(machine !== undefined && { machine }) }),
  );
  if (view.units.get(name)?.digest === digest) return;
  if (view.revisionOf(`contents/${digest}`) === 0)
    put(`contents/${digest}`, writeDocument('contents/', { text }));
  const entries = [...view.history(name), { digest, hash, at: clock.now(), by: author }];
  put(`history/${name}`, writeDocument('history/', { entries }));
}

function clean({ id, silentSince, backSince, cordon }: KnownMachine): Document<'machines/'> {
  return {
    ...(id !== undefined && { id }),
    ...(silentSince !== undefined && { silentSince }),
    ...(backSince !== undefined && { backSince }),
    ...(cordon !== undefined && { cordon }),
  };
}
