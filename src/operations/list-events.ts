import { FleetError } from '../base/errors.ts';
import { globMatcher } from '../base/glob.ts';
import type { LoggedEvent } from '../cluster/logged-event.ts';
import type { Registry } from '../registry/registry.ts';
import type { RegistryView } from '../registry/view.ts';

/** An event, its time (epoch ms), and its author (`user@host`). */
export type EventRow = { readonly at: number; readonly by: string; readonly event: LoggedEvent };

export type EventsRequest = {
  /** Units or machines, as names or globs; all without any. */
  readonly about: readonly string[];
  /** The limit of changes: the last ones; undefined for all. */
  readonly lines: number | undefined;
};

/** The stored events, oldest first. */
export async function listEvents(registry: Registry, request: EventsRequest): Promise<readonly EventRow[]> {
  return select(await registry.load(), request);
}

/**
 * The stored events, and then new ones as they occur, until `signal` aborts. If the registry cannot be read, it ends with
 * the FleetError.
 */
export async function* followEvents(
  registry: Registry,
  request: EventsRequest,
  signal: AbortSignal,
): AsyncGenerator<readonly EventRow[], void> {
  let view = await registry.load();
  let seen = new Set(view.eventKeys);
  yield select(view, request);
  while (await registry.waitForChange(view, signal)) {
    view = await registry.load();
    const before = seen;
    seen = new Set(view.eventKeys);
    const rows = select(view, { ...request, lines: undefined }, (key) => !before.has(key));
    if (rows.length > 0) yield rows;
  }
}

function select(
  view: RegistryView,
  { about, lines }: EventsRequest,
  isWanted: (key: string) => boolean = () => true,
): readonly EventRow[] {
  const matchers = about.map(matcherOf);
  const concerns = (event: LoggedEvent): boolean =>
    matchers.length === 0 || namesIn(event).some((name) => matchers.some((matches) => matches(name)));
  const rows = view.events
    .filter(({ key }) => isWanted(key))
    .flatMap(({ at, by, events }) => events.map((event): EventRow => ({ at, by, event })))
    .filter(({ event }) => concerns(event));
  return lines === undefined ? rows : rows.slice(Math.max(0, rows.length - lines));
}

/** A word also matches a unit with `.service` appended. */
function matcherOf(word: string): (name: string) => boolean {
  if (word === '') throw new FleetError('usage', 'Cannot search for an empty name');
  const exact = globMatcher(word);
  const service = globMatcher(`${word}.service`);
  return (name) => exact(name) || service(name);
}

/** The unit and the machines an event is about. */
function namesIn(event: LoggedEvent): readonly string[] {
  const places = [
    'from' in event ? event.from.name : undefined,
    'to' in event ? event.to.name : undefined,
    'machine' in event ? event.machine : undefined,
    'unit' in event ? event.unit : undefined,
  ];
  return places.filter((name) => name !== undefined);
}
