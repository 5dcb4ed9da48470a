import { literalPrefix } from '../base/glob.ts';
import { compareText } from '../base/text.ts';
import type { DesiredUnit } from '../cluster/snapshot.ts';

/** Globs by their literal prefix, so that only few have to be matched with a name. */
export class GlobIndex {
  readonly #globs = new Map<string, Set<string>>();

  constructor(globs: Iterable<string> = []) {
    for (const glob of globs) this.add(glob);
  }

  add(glob: string): void {
    const prefix = literalPrefix(glob);
    const same = this.#globs.get(prefix) ?? new Set();
    this.#globs.set(prefix, same.add(glob));
  }

  get isEmpty(): boolean {
    return this.#globs.size === 0;
  }

  /** The globs whose literal prefix is a prefix of `name`: all that match it are among them. */
  *candidatesFor(name: string): Generator<string> {
    for (let length = 0; !this.isEmpty && length <= name.length; length++)
      yield* this.#globs.get(name.slice(0, length)) ?? [];
  }
}

/** The units on a machine, and the globs of their Conflicts=: finds conflicts without a scan of all units. */
export class ConflictIndex {
  /** Sorted by name. */
  readonly units: DesiredUnit[];
  readonly #globs: GlobIndex;
  /** The units that have a glob, sorted by name. */
  readonly #declarers: Map<string, DesiredUnit[]>;

  /** A copy of `other`, or an empty index. */
  constructor(other?: ConflictIndex) {
    const declarers = other === undefined ? [] : [...other.#declarers];
    this.units = other === undefined ? [] : [...other.units];
    this.#declarers = new Map(declarers.map(([glob, units]) => [glob, [...units]]));
    this.#globs = new GlobIndex(this.#declarers.keys());
  }

  add(unit: DesiredUnit): void {
    insert(this.units, unit);
    for (const glob of unit.placement.conflicts) {
      const declarers = this.#declarers.get(glob) ?? [];
      this.#declarers.set(glob, declarers);
      insert(declarers, unit);
      this.#globs.add(glob);
    }
  }

  remove(unit: DesiredUnit): void {
    removeFrom(this.units, unit);
    for (const glob of unit.placement.conflicts) removeFrom(this.#declarers.get(glob) ?? [], unit);
  }

  /** Units that conflict with `unit`, by their globs or by its globs; for each glob the first one that `applies`. */
  *conflictsOf(
    unit: DesiredUnit,
    matches: (glob: string, name: string) => boolean,
    applies: (other: DesiredUnit) => boolean,
  ): Generator<DesiredUnit | undefined> {
    for (const glob of this.#globs.candidatesFor(unit.name))
      if (matches(glob, unit.name)) yield this.#declarers.get(glob)?.find(applies);
    for (const glob of unit.placement.conflicts)
      yield this.#startingWith(literalPrefix(glob)).find(
        (other) => matches(glob, other.name) && applies(other),
      );
  }

  #startingWith(prefix: string): readonly DesiredUnit[] {
    return prefix === ''
      ? this.units
      : this.units.slice(positionOf(this.units, prefix), positionOf(this.units, `${prefix}\u{10ffff}`));
  }
}

/** The index of the unit of that name, or its insertion index. */
function positionOf(units: readonly DesiredUnit[], name: string): number {
  let [low, high] = [0, units.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareText(units[middle]?.name ?? '', name) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function insert(units: DesiredUnit[], unit: DesiredUnit): void {
  const last = units.at(-1);
  // Units usually come sorted.
  if (last === undefined || compareText(last.name, unit.name) < 0) units.push(unit);
  else units.splice(positionOf(units, unit.name), 0, unit);
}

function removeFrom(units: DesiredUnit[], unit: DesiredUnit): void {
  const at = positionOf(units, unit.name);
  if (units[at]?.name === unit.name) units.splice(at, 1);
}
