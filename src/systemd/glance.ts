import { isUnknown } from '../cluster/unit-state.ts';
import type { Section } from './frame.ts';
import type { ShownUnit } from './show.ts';

/** How old may be what a unit was shown as while it looks the same, in ms: its use of memory and CPU is not seen at a glance. */
const SHOWN_AGE_MS = 120_000;

const MOST_WORDS = 20;

/** How units look at a glance, by name: how systemd lists each, and the run it is in. */
export type Looks = ReadonlyMap<string, string>;

/**
 * Reads the sections `glance` and `runs`; undefined when they cannot be relied on: systemctl failed, or systemd does
 * not tell runs apart (before 233), so that a unit which was restarted would look the same.
 */
export function readLooks(sections: readonly Section[]): Looks | undefined {
  const listed = sections.find(({ name }) => name === 'glance');
  const runs = sections.find(({ name }) => name === 'runs');
  if (listed?.status !== 0 || runs?.status !== 0) return undefined;
  const looks = new Map<string, string>();
  // Columns are as wide as the longest word, and one for jobs is there when there are any. The rest is the description.
  for (const line of listed.stdout.split('\n')) {
    const words = line.split(/[\s●*]+/, MOST_WORDS).filter((word) => word !== '');
    looks.set(words[0] ?? '', words.join(' '));
  }
  for (const [, unit = '', run] of runs.stdout.matchAll(/^invocation:(\S+) .*?([0-9a-f]{32})\W*$/gm))
    looks.set(unit, `${looks.get(unit) ?? ''} ${run}`);
  return looks;
}

/** What units were shown as, and how they looked just before that: what looks the same need not be shown again. */
export class ShownUnits {
  readonly #known = new Map<string, { look: string | undefined; shown: ShownUnit; at: number }>();

  /** Those of `units` that have to be shown; `now` is ms of a clock that does not jump. */
  missing(units: readonly string[], looks: Looks | undefined, now: number): readonly string[] {
    if (looks === undefined) return units;
    return units.filter((unit) => {
      const known = this.#known.get(unit);
      // The next answer may be a better one.
      if (known === undefined || isUnknown(known.shown.state)) return true;
      return known.look !== looks.get(unit) || now - known.at >= SHOWN_AGE_MS;
    });
  }

  /**
   * Remembers what was `shown` at `now` of those of `units` that it holds, which had these looks. A unit that looked
   * otherwise changed in between, or systemd lists it under another name: its look tells nothing of what is shown.
   */
  learn(units: readonly string[], looks: Looks | undefined, shown: readonly ShownUnit[], now: number): void {
    const byName = new Map(shown.flatMap((unit) => unit.names.map((name) => [name, unit] as const)));
    for (const unit of units) {
      const found = byName.get(unit);
      const look = looks?.get(unit);
      if (found === undefined) this.#known.delete(unit);
      else
        this.#known.set(unit, {
          look,
          shown: found,
          at: agrees(look, found) ? now : Number.NEGATIVE_INFINITY,
        });
    }
  }

  /** What is known of `units`; what is known of others is forgotten. */
  keep(units: readonly string[]): readonly ShownUnit[] {
    const wanted = new Set(units);
    for (const unit of this.#known.keys()) if (!wanted.has(unit)) this.#known.delete(unit);
    return [...new Set([...this.#known.values()].map(({ shown }) => shown))];
  }
}

/** Whether a unit that looks so is in the state that it was shown in; systemd lists those alone that it has in memory. */
function agrees(look: string | undefined, { state }: ShownUnit): boolean {
  const [, , active = 'inactive', sub = 'dead'] = look?.split(' ') ?? [];
  return active === state.active && sub === state.sub;
}
