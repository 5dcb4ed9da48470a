import type { ClusterSnapshot, DesiredUnit, MachineView } from '../../src/cluster/snapshot.ts';
import { type Decision, machinesOf } from '../../src/schedule/decision.ts';

/** Unit → ids of its machines: what a schedule comes to. */
export type World = ReadonlyMap<string, readonly string[]>;

/** Where units are before anything is decided; global units are where they were seen. */
export function worldBefore(snapshot: ClusterSnapshot): World {
  return new Map(
    snapshot.units
      .filter(({ target }) => target !== 'inactive')
      .map((unit) => [
        unit.name,
        unit.placement.global ? [] : unit.machine === undefined ? [] : [unit.machine],
      ]),
  );
}

export function worldAfter(snapshot: ClusterSnapshot, decisions: readonly Decision[]): World {
  const world = new Map(worldBefore(snapshot));
  for (const decision of decisions) {
    if (decision.kind === 'release') world.delete(decision.unit);
    else world.set(decision.unit, machinesOf(decision));
  }
  return world;
}

/** The snapshot as a later pass finds it when these decisions were stored. */
export function afterDecisions(snapshot: ClusterSnapshot, decisions: readonly Decision[]): ClusterSnapshot {
  const stored = new Map(decisions.map((decision) => [decision.unit, decision]));
  return {
    ...snapshot,
    units: snapshot.units.map((unit) => {
      const decision = stored.get(unit.name);
      const moved = decision?.kind === 'place' || decision?.kind === 'move';
      return moved ? { ...unit, machine: decision.machine } : unit;
    }),
  };
}

/**
 * Everything that is wrong with `unit` on `machine` while the others are as `world` says: the rules once more, written
 * in a naive way and without the code they check; of a unit `alone` without those about its triggers.
 */
export function faults(
  unit: DesiredUnit,
  machine: MachineView,
  world: World,
  snapshot: ClusterSnapshot,
  how: 'alone' | 'with triggers' = 'with triggers',
): ReadonlySet<string> {
  const found = new Set<string>();
  const { placement } = unit;
  const id = machine.id;
  if (placement.machineId !== undefined && id?.slice(0, placement.machineId.length) !== placement.machineId) {
    found.add('machine-id');
  }
  if (!fitsMetadata(unit, machine)) found.add('machine-metadata');
  for (const peer of placement.machineOf) {
    const there = standardPlace(peer, world, snapshot);
    if (there === undefined) found.add('machine-of-nowhere');
    else if (there !== id) found.add('machine-of-elsewhere');
  }
  const started = snapshot.units.find(({ name }) => name === unit.triggers);
  if (started !== undefined && !started.placement.machineOf.some((peer) => peer === unit.name)) {
    const there = standardPlace(started.name, world, snapshot);
    if (started.target === 'launched' && there !== undefined && there !== id) found.add('triggers-elsewhere');
    const own = started.target === 'loaded' ? faults(started, machine, world, snapshot, 'alone') : [];
    if ([...own].some((code) => ASKED.has(code))) found.add('triggered-unit');
    else if ([...own].includes('rival')) found.add('triggered-rival');
  }
  const triggers = snapshot.units.filter((other) => other.triggers === unit.name && world.has(other.name));
  if (how === 'with triggers' && unit.target === 'loaded' && triggers.length > 0) {
    const isHere = triggers.some((trigger) =>
      trigger.placement.global
        ? [...faults(trigger, machine, world, snapshot)].every((code) => code.endsWith('rival'))
        : id !== undefined && world.get(trigger.name)?.[0] === id,
    );
    const isPlaced = triggers.some(({ name, placement }) => placement.global || world.get(name)?.length);
    if (!isHere && isPlaced) found.add('triggered-elsewhere');
  }
  for (const other of snapshot.units) {
    if (!world.has(other.name) || !atOdds(unit, other) || areCompanions(unit, other, snapshot)) continue;
    const isThere = id !== undefined && world.get(other.name)?.includes(id);
    const wouldRun = isCopied(other, snapshot) && fitsMetadata(other, machine);
    if (isThere || (wouldRun && !isCopied(unit, snapshot))) found.add('conflict');
    // Of two global units only one can have the machine: that the other one might is a reason, and no fault.
    else if (wouldRun) found.add('rival');
  }
  if (machine.unreachable !== undefined) found.add('machine-silent');
  const owner = machine.observation?.cluster;
  if (owner !== undefined && owner !== snapshot.clusterId) found.add('other-cluster');
  for (const seen of machine.observation?.units ?? []) {
    const known = seen.state.load !== 'not-found' || seen.state.active === 'active';
    if (seen.name === unit.name && seen.record === undefined && known) found.add('foreign-unit');
  }
  return found;
}

/** A unit with a copy wherever it fits: a global one, or one that a global trigger takes along. */
function isCopied(unit: DesiredUnit, { units }: ClusterSnapshot): boolean {
  const takenBy = units.filter((other) => other.triggers === unit.name && other.target !== 'inactive');
  return (
    unit.placement.global || (unit.target === 'loaded' && takenBy.some(({ placement }) => placement.global))
  );
}

function areCompanions(one: DesiredUnit, other: DesiredUnit, { units }: ClusterSnapshot): boolean {
  const isLoaded = (name: string): boolean =>
    units.some((unit) => unit.name === name && unit.target === 'loaded');
  return (
    (one.triggers === other.name && isLoaded(other.name)) ||
    (other.triggers === one.name && isLoaded(one.name))
  );
}

/** What a unit asks for that its trigger has to meet as well. */
const ASKED = new Set([
  'machine-id',
  'machine-metadata',
  'machine-of-nowhere',
  'machine-of-elsewhere',
  'conflict',
  'foreign-unit',
]);

function standardPlace(name: string, world: World, snapshot: ClusterSnapshot): string | undefined {
  const unit = snapshot.units.find((candidate) => candidate.name === name);
  return unit === undefined || unit.placement.global ? undefined : world.get(name)?.[0];
}

function fitsMetadata({ placement }: DesiredUnit, { machine }: MachineView): boolean {
  const pairs = new Set(Object.entries(machine.metadata).map(([key, value]) => `${key}=${value}`));
  return Object.entries(placement.metadata).every(([key, values]) =>
    values.some((value) => pairs.has(`${key}=${value}`)),
  );
}

function atOdds(a: DesiredUnit, b: DesiredUnit): boolean {
  if (a.name === b.name) return false;
  const matches = (pattern: string, name: string): boolean =>
    new RegExp(`^${pattern.replaceAll('.', '[.]').replaceAll('*', '.*')}$`).test(name);
  return (
    a.placement.conflicts.some((pattern) => matches(pattern, b.name)) ||
    b.placement.conflicts.some((pattern) => matches(pattern, a.name))
  );
}
