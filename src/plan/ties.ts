import { groupBy } from '../base/group-by.ts';
import { compareText } from '../base/text.ts';
import { allTiedTo, conflictTies, needTies, stopTies, type Ties } from '../cluster/dependencies.ts';
import type { Tie } from '../cluster/reason.ts';
import {
  type ClusterSnapshot,
  type DesiredUnit,
  type MachineView,
  observedOn,
  tokenOf,
  unitNamed,
} from '../cluster/snapshot.ts';
import { isDownByOthers, isRunning, isUp, type ObservedUnit } from '../cluster/unit-state.ts';
import { hasStep, type MachinePlan, type Step, type UnitChange, type Wave } from './step.ts';
import { fenceObstacle, startStep } from './steps.ts';

/** The ties of all units: by stops, by starts, and by conflicts. */
export type UnitTies = { readonly stops: Ties; readonly needs: Ties; readonly conflicts: Ties };

type MachineContext = {
  readonly machine: MachineView;
  readonly snapshot: ClusterSnapshot;
  readonly ties: UnitTies;
  /** Whether a unit belongs on this machine. */
  readonly isWanted: (unit: DesiredUnit) => boolean;
};

export function tiesBetween({ units, olderTexts = [] }: ClusterSnapshot): UnitTies {
  const wanted = units.filter(({ target }) => target !== 'inactive');
  return {
    stops: stopTies([...units, ...olderTexts]),
    needs: needTies(wanted),
    conflicts: conflictTies(wanted),
  };
}

/**
 * The changes on one machine, adapted to the dependencies in systemd: units that stop with another one are started again,
 * and a unit is not started if its start would stop a running one.
 */
export function withTies(changes: readonly UnitChange[], context: MachineContext): readonly UnitChange[] {
  const byName: Changes = new Map(changes.map((change) => [change.unit, change]));
  releaseSockets(byName, context);
  revive(byName, context);
  return withoutExcluded(byName, context);
}

/** Unit → its change on one machine. */
type Changes = Map<string, UnitChange>;

/** systemd does not start a socket while its service runs, so a socket is restarted together with its service. */
function releaseSockets(changes: Changes, context: MachineContext): void {
  for (const change of [...changes.values()]) {
    const service = unitNamed(change.unit, context.snapshot)?.triggers;
    const observed = service === undefined ? undefined : observedHere(service, context);
    if (!change.unit.endsWith('.socket') || !isRestart(change) || observed === undefined) continue;
    if (isRunning(observed.state)) addSteps(changes, observed, ['stop', 'start'], context);
  }
}

/**
 * A launched unit that stops with another one is started again, and so is one that is down because another one was, and that one is
 * started. A running unit that is only loaded is started again if the other one is restarted, as `systemctl restart` does.
 */
function revive(changes: Changes, context: MachineContext): void {
  const all = [...changes.values()];
  const stopped = all.filter((change) => hasStep(change, 'stop'));
  const started = namesOf(all.filter((change) => hasStep(change, 'start')));
  if (stopped.length + started.length === 0) return;
  const down = allTiedTo(namesOf(stopped), context.ties.stops);
  const back = allTiedTo(started, context.ties.stops);
  const restarted = allTiedTo(namesOf(stopped.filter(isRestart)), context.ties.stops);
  for (const name of [...new Set([...down, ...back])].sort(compareText)) {
    const observed = observedHere(name, context);
    const unit = unitNamed(name, context.snapshot);
    if (observed === undefined || unit === undefined || !context.isWanted(unit)) continue;
    const isRevived =
      unit.target === 'launched'
        ? (down.has(name) && (isUp(observed.state) || isRunning(observed.state))) ||
          (back.has(name) && unit.held === undefined && isDownByOthers(observed.state))
        : unit.target === 'loaded' && restarted.has(name) && isRunning(observed.state);
    if (isRevived) addSteps(changes, observed, ['start'], context);
  }
}

/** Adds these steps for a unit, after its present steps and without duplicates. */
function addSteps(
  changes: Changes,
  observed: ObservedUnit,
  kinds: readonly ('stop' | 'start')[],
  { machine, snapshot }: MachineContext,
): void {
  const { name } = observed;
  const wanted = unitNamed(name, snapshot);
  const token = tokenOf(name, snapshot);
  const present = changes.get(name);
  if (present?.obstacle !== undefined || (observed.record?.token ?? 0) > token) return;
  const { steps: given } = present ?? { steps: [] };
  if (hasStep({ steps: given }, 'start', 'remove')) return;
  const before: readonly Step[] =
    kinds.includes('stop') && !hasStep({ steps: given }, 'stop') ? [{ kind: 'stop' }] : [];
  const kept = given.filter(({ kind }) => kind !== 'watch' && kind !== 'restart');
  const steps = [...before, ...kept, startStep(wanted, machine)];
  const obstacle = fenceObstacle(wanted, steps, machine, snapshot);
  changes.set(name, { unit: name, token, steps: obstacle === undefined ? steps : [], obstacle });
}

/**
 * A unit is not started while a unit runs that conflicts with it, or with a unit that its start would start. Of two such
 * units that are to be started, only the first one by name is.
 */
function withoutExcluded(changes: Changes, context: MachineContext): readonly UnitChange[] {
  const { conflicts, needs } = context.ties;
  const changeOf = (name: string): Pick<UnitChange, 'steps'> => changes.get(name) ?? { steps: [] };
  const rivalOf = (name: string): Tie | undefined =>
    conflicts.get(name)?.find(({ unit }) => {
      const other = changeOf(unit);
      if (hasStep(other, 'start')) return unit < name || !hasStep(changeOf(name), 'start', 'restart');
      const observed = observedHere(unit, context);
      return observed !== undefined && isRunning(observed.state) && !hasStep(other, 'stop');
    });
  const isStarted = (name: string): boolean => {
    const observed = observedHere(name, context);
    return observed !== undefined && !isRunning(observed.state) && !hasStep(changeOf(name), 'remove');
  };
  return [...changes.values()].map((change): UnitChange => {
    if (!hasStep(change, 'start', 'restart')) return change;
    const started = [...allTiedTo([change.unit], needs)].filter(isStarted);
    const ties = [change.unit, ...started].flatMap((name) => rivalOf(name) ?? []);
    const tie = ties.find(({ unit }) => unit !== change.unit);
    return tie === undefined ? change : { ...change, steps: [], obstacle: { code: 'excluded', tie } };
  });
}

/** A unit that fleet wrote to the machine. */
function observedHere(name: string, { machine }: MachineContext): ObservedUnit | undefined {
  const observed = observedOn(machine, name);
  return observed?.record === undefined ? undefined : observed;
}

function isRestart(change: UnitChange): boolean {
  return hasStep(change, 'stop') && hasStep(change, 'start');
}

function namesOf(changes: readonly UnitChange[]): readonly string[] {
  return changes.map(({ unit }) => unit);
}

/**
 * The waves, with each start that reverses a side effect of a stop moved to the wave of that stop. The old copy of a unit
 * that moves is stopped late, and systemd stops dependent units with it.
 */
export function withLateRevivals(waves: readonly Wave[], snapshot: ClusterSnapshot): readonly Wave[] {
  const { stops } = tiesBetween(snapshot);
  // `machine unit` → the last wave in which it stops.
  const downIn = new Map<string, number>();
  for (const [index, { plans }] of waves.entries()) {
    for (const { machine, changes } of plans) {
      const stopped = changes.filter((change) => hasStep(change, 'stop')).map(({ unit }) => unit);
      for (const unit of allTiedTo(stopped, stops)) downIn.set(`${machine} ${unit}`, index);
    }
  }
  const placeOf = (machine: string, change: UnitChange, index: number): number =>
    isRevival(change) ? Math.max(index, downIn.get(`${machine} ${change.unit}`) ?? index) : index;
  const entries = waves.flatMap(({ plans }, index) =>
    plans.flatMap(({ machine, changes }) =>
      changes.map((change) => ({ machine, change, from: index, to: placeOf(machine, change, index) })),
    ),
  );
  if (entries.every(({ from, to }) => from === to)) return waves;
  const byWave = groupBy(entries, ({ to }) => to);
  return waves
    .map((wave, index): Wave => {
      const there = byWave.get(index) ?? [];
      const plans = [...groupBy(there, ({ machine }) => machine)].map(
        ([machine, own]): MachinePlan => ({ machine, changes: own.map(({ change }) => change) }),
      );
      return { ...wave, plans };
    })
    .filter(({ plans }) => plans.length > 0);
}

function isRevival(change: UnitChange): boolean {
  return hasStep(change, 'start') && !hasStep(change, 'stop', 'write');
}
