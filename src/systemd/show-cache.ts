import { isUnknown } from '../cluster/unit-state.ts';
import { findSection, type Section } from './frame.ts';
import type { ShownUnit } from './show.ts';

/** How long a result stays valid while its unit is listed unchanged, in ms: resource usage is not in the list. */
const MAX_AGE_MS = 120_000;

const MOST_WORDS = 20;

/** The entry of each unit in `systemctl list-units`, with its invocation id. */
export type Listing = ReadonlyMap<string, string>;

/**
 * Reads the sections `listed` and `invocations`; undefined when they are not reliable: systemctl failed, or systemd
 * keeps no invocation ids (before 233), so that a unit which was restarted would be listed the same.
 */
export function readListing(sections: readonly Section[]): Listing | undefined {
  const listed = findSection(sections, 'listed');
  const invocations = findSection(sections, 'invocations');
  if (listed?.status !== 0 || invocations?.status !== 0) return undefined;
  const listing = new Map<string, string>();
  // Columns are as wide as their longest word, and one for jobs is there when there are any. The description comes last.
  for (const line of listed.stdout.split('\n')) {
    const words = line.split(/[\s●*]+/, MOST_WORDS).filter((word) => word !== '');
    listing.set(words[0] ?? '', words.join(' '));
  }
  for (const [, unit = '', id] of invocations.stdout.matchAll(/^invocation:(\S+) .*?([0-9a-f]{32})\W*$/gm))
    listing.set(unit, `${listing.get(unit) ?? ''} ${id}`);
  return listing;
}

type Cached = { readonly entry: string | undefined; readonly shown: ShownUnit; readonly at: number };

/** Results of `systemctl show`, with the entry of each unit in the list just before: an unchanged entry makes them valid. */
export class ShowCache {
  readonly #cached = new Map<string, Cached>();

  /** Those of `units` that have to be shown; `now` is ms of a monotonic clock. */
  stale(units: readonly string[], listing: Listing | undefined, now: number): readonly string[] {
    if (listing === undefined) return units;
    return units.filter((unit) => {
      const cached = this.#cached.get(unit);
      // The next answer may have the state.
      if (cached === undefined || isUnknown(cached.shown.state)) return true;
      return cached.entry !== listing.get(unit) || now - cached.at >= MAX_AGE_MS;
    });
  }

  /**
   * Stores the results for `units`, which were listed in `listing`. A result that contradicts the list is used once: the
   * unit changed in between, or systemd lists it under another name.
   */
  update(
    units: readonly string[],
    listing: Listing | undefined,
    shown: readonly ShownUnit[],
    now: number,
  ): void {
    const byName = new Map(shown.flatMap((unit) => unit.names.map((name) => [name, unit] as const)));
    for (const unit of units) {
      const found = byName.get(unit);
      const entry = listing?.get(unit);
      if (found === undefined) this.#cached.delete(unit);
      else {
        const at = agrees(entry, found) ? now : Number.NEGATIVE_INFINITY;
        this.#cached.set(unit, { entry, shown: found, at });
      }
    }
  }

  /** The results for `units`; all others are dropped. */
  retain(units: readonly string[]): readonly ShownUnit[] {
    const wanted = new Set(units);
    for (const unit of this.#cached.keys()) if (!wanted.has(unit)) this.#cached.delete(unit);
    return [...new Set([...this.#cached.values()].map(({ shown }) => shown))];
  }
}

/** Whether both have the same state; systemd lists only the units that it has in memory. */
function agrees(entry: string | undefined, { state }: ShownUnit): boolean {
  const [, , active = 'inactive', sub = 'dead'] = entry?.split(' ') ?? [];
  return active === state.active && sub === state.sub;
}
