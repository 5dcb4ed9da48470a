import type { LoggedEvent } from '../cluster/logged-event.ts';
import type { Change } from '../store/store.ts';
import { eventKey, writeDocument } from './documents.ts';
import type { Edit, RegistryOptions } from './edit.ts';
import type { RegistryView } from './view.ts';

/** The limit of stored changes. */
const MOST = 500;

/** The changes of the log for `edits`: one new document for a commit, and deletions of old ones. */
export function logChanges(
  edits: readonly Edit[],
  view: RegistryView,
  { clock, author }: RegistryOptions,
): readonly Change[] {
  const events = edits.flatMap((edit) => eventsOf(edit, view));
  if (events.length === 0) return [];
  const at = clock.now();
  const key = `events/${eventKey(view.token)}`;
  const value = writeDocument('events/', { at, by: author, events: events.map((event) => ({ ...event })) });
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
  ...(['failed', 'recovered', 'place', 'move', 'return'] as const),
  ...(['machine-lost', 'machine-back', 'voters'] as const),
]);

/** The events of an edit. A decision with its reason is a separate edit. */
function eventsOf(edit: Edit, view: RegistryView): readonly LoggedEvent[] {
  switch (edit.kind) {
    case 'log':
      return edit.events;
    case 'delete-unit':
      return [{ kind: 'destroy', unit: edit.name }];
    case 'put-unit': {
      const { name: unit, target, hash, digest } = edit.unit;
      const before = view.units.get(unit);
      return [
        ...(before?.digest === digest ? [] : [{ kind: 'text', unit, hash } as const]),
        ...((before?.target ?? 'inactive') === target ? [] : [{ kind: 'target', unit, target } as const]),
      ];
    }
    case 'delete-machine':
      return [{ kind: 'machine-removed', machine: edit.name }];
    case 'judge-text':
    case 'put-machine':
    case 'put-cluster':
      return [];
  }
}
