import type { LoggedEvent } from '../cluster/logged-event.ts';
import type { Change } from '../store/store.ts';
import { eventKey, writeDocument } from './documents.ts';
import type { Edit, RegistryOptions } from './edit.ts';
import type { RegistryView } from './view.ts';

/** How many changes are remembered. */
const MOST = 500;

/** What the log gains and loses by `edits`: one document for all that one commit does. */
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
 * The keys that make room for `count` others: those of outcomes as long as they are more than half of the log, so that a
 * unit that fails again and again does not push out what people have decided.
 */
function oldest(view: RegistryView, count: number): readonly string[] {
  if (count <= 0) return [];
  const outcomes = view.events.filter(({ events }) => events.every(({ kind }) => OUTCOMES.has(kind)));
  const keys = outcomes.length * 2 > MOST ? outcomes.map(({ key }) => key) : view.eventKeys;
  return keys.slice(0, count);
}

/** What comes of passes, without anybody's command. */
const OUTCOMES: ReadonlySet<LoggedEvent['kind']> = new Set([
  ...(['failed', 'recovered', 'place', 'move', 'return'] as const),
  ...(['machine-lost', 'machine-back'] as const),
]);

/** The events of an edit; a decision with its reason is a separate edit. */
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
