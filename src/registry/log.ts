import type { LoggedEvent } from '../cluster/logged-event.ts';
import { formatMetadata } from '../machine/machine.ts';
import type { Change } from '../store/store.ts';
import { eventKey, writeDocument } from './documents.ts';
import type { Edit, KnownMachine, RegistryOptions } from './edit.ts';
import type { RegistryView } from './view.ts';

/** The limit of stored changes. */
const MOST = 500;

/** The changes of the log for `edits`: one new document for a commit, and deletions of old ones. */
export function logChanges(
  edits: readonly Edit[],
  view: RegistryView,
  { clock, author }: RegistryOptions,
): readonly Change[] {
  const renamed = new Set(edits.flatMap((edit) => (edit.kind === 'delete-machine' ? edit.renamedTo : [])));
  const events = edits
    .flatMap((edit) => eventsOf(edit, view))
    .filter((event) => event.kind !== 'machine-added' || !renamed.has(event.machine));
  if (events.length === 0) return [];
  const at = clock.now();
  const key = `events/${eventKey(view.token)}`;
  const value = writeDocument('events/', { at, by: author, events });
  const surplus = oldest(view, view.eventKeys.length + 1 - MOST);
  return [
    { kind: 'put', key, value, ifRevision: 0 },
    ...surplus.map((old): Change => {
      const oldKey = `events/${old}`;
      return { kind: 'delete', key: oldKey, ifRevision: view.revisionOf(oldKey) };
    }),
  ];
}

/**
 * The `count` keys to delete: those of outcomes if they are more than half of the log, so that a unit that fails repeatedly
 * does not displace the decisions of operators.
 */
function oldest(view: RegistryView, count: number): readonly string[] {
  if (count <= 0) return [];
  const outcomes = view.events.filter(({ events }) => events.every(({ kind }) => OUTCOMES.has(kind)));
  const keys = outcomes.length * 2 > MOST ? outcomes.map(({ key }) => key) : view.eventKeys;
  return keys.slice(0, count);
}

/** The events of passes, without a command. */
const OUTCOMES: ReadonlySet<LoggedEvent['kind']> = new Set([
  ...(['failed', 'recovered', 'held', 'place', 'move', 'return'] as const),
  ...(['machine-lost', 'machine-back', 'voters', 'former-registry'] as const),
]);

/** The events of an edit. A decision with its reason is a separate edit. */
function eventsOf(edit: Edit, view: RegistryView): readonly LoggedEvent[] {
  switch (edit.kind) {
    case 'log':
      return edit.events;
    case 'delete-unit':
      return [{ kind: 'destroy', unit: edit.name }];
    case 'put-unit': {
      const { name: unit, target, hash, digest, text } = edit.unit;
      const before = view.units.get(unit);
      return [
        ...(text === undefined || before?.digest === digest ? [] : [{ kind: 'text', unit, hash } as const]),
        ...((before?.target ?? 'inactive') === target ? [] : [{ kind: 'target', unit, target } as const]),
      ];
    }
    case 'delete-machine': {
      const { name: machine, renamedTo } = edit;
      return [
        renamedTo === undefined
          ? { kind: 'machine-removed', machine }
          : { kind: 'machine-renamed', machine, renamedTo },
      ];
    }
    case 'hold-text': {
      const now = view.units.get(edit.unit);
      if (now?.digest !== edit.digest) return [];
      return [{ kind: 'held', unit: edit.unit, hash: now.hash, held: edit.held }];
    }
    case 'release-text': {
      const hash = view.units.get(edit.unit)?.hash;
      return hash === undefined ? [] : [{ kind: 'released', unit: edit.unit, hash }];
    }
    case 'put-machine':
      // The machines with which a cluster begins are no events.
      return view.clusterId === undefined
        ? []
        : machineEvents(edit.name, edit.known, view.machines.get(edit.name));
    case 'judge-text':
    case 'put-cluster':
      return [];
  }
}

/** `before` is undefined for a new name; a document of version 0.1.0 that gets its address is no event. */
function machineEvents(
  machine: string,
  { address, metadata = {} }: KnownMachine,
  before: KnownMachine | undefined,
): readonly LoggedEvent[] {
  if (address === undefined) return [];
  if (before === undefined) return [{ kind: 'machine-added', machine, address }];
  if (before.address === undefined) return [];
  const text = formatMetadata(metadata);
  const changed = {
    ...(address !== before.address && { address }),
    ...(text !== formatMetadata(before.metadata ?? {}) && { metadata: text }),
  };
  return Object.keys(changed).length === 0 ? [] : [{ kind: 'machine-changed', machine, ...changed }];
}
