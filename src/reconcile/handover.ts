import { globMatcher } from '../base/glob.ts';
import type { UnitOutcome } from '../cluster/failure.ts';
import { type ClusterSnapshot, type DesiredUnit, machineNameOf } from '../cluster/snapshot.ts';
import type { MachinePlan } from '../plan/step.ts';
import type { Edit } from '../registry/edit.ts';
import type { RegistryView } from '../registry/view.ts';
import { type Decision, machinesOf } from '../schedule/decision.ts';

type Move = Extract<Decision, { kind: 'move' }>;
type Plans = readonly MachinePlan[];

/** The plans of a pass, in the order in which they are carried out. */
export type Handover = {
  /** Other copies of units of which there may never be two: they go before the new ones come. */
  readonly before: Plans;
  readonly main: Plans;
  /** All other old copies of units that move: each goes when the new one is up. */
  readonly after: Plans;
};

/**
 * Splits plans so that a unit that moves between two machines that answer is away for as short as can be: its
 * replacement is up before the old copy stops. One that is fenced, or whose Conflicts= names itself, is stopped first,
 * wherever it is.
 */
export function splitMoves(
  plans: Plans,
  decisions: readonly Decision[],
  snapshot: ClusterSnapshot,
): Handover {
  const units = new Map(snapshot.units.map((unit) => [unit.name, unit]));
  const from = new Map(
    decisions.flatMap((each) =>
      each.kind === 'move' ? [[each.unit, machineNameOf(each.from, snapshot)]] : [],
    ),
  );
  const places = new Map(
    decisions.map((each) => [each.unit, machinesOf(each).map((id) => machineNameOf(id, snapshot))]),
  );
  const isFirst = (machine: string, unit: string): boolean =>
    isAlone(units.get(unit)) && !places.get(unit)?.includes(machine);
  const isLast = (machine: string, unit: string): boolean =>
    from.get(unit) === machine && !isFirst(machine, unit);
  return {
    before: select(plans, isFirst),
    main: select(plans, (machine, unit) => !isFirst(machine, unit) && !isLast(machine, unit)),
    after: select(plans, isLast),
  };
}

/**
 * Carries plans out in that order with `run`. What has failed goes no further: where the old copy did not stop the
 * new one does not come, and where the new one does not come up the old one stays.
 */
export async function carryOut(
  { before, main, after }: Handover,
  run: (plans: Plans) => Promise<readonly UnitOutcome[]>,
): Promise<readonly UnitOutcome[]> {
  const stopped = await run(before);
  const begun = await run(withoutFailed(main, stopped));
  const left = await run(withoutFailed(after, begun));
  return [...stopped, ...begun, ...left];
}

/** The moves whose old copy stays, because the new one did not come up. */
export function failedMoves(
  { after }: Handover,
  decisions: readonly Decision[],
  outcomes: readonly UnitOutcome[],
): readonly Move[] {
  const olds = new Map(after.flatMap(({ machine, changes }) => changes.map(({ unit }) => [unit, machine])));
  const touched = new Set(outcomes.map(({ unit, machine }) => `${machine} ${unit}`));
  return decisions.flatMap((decision): readonly Move[] => {
    const old = olds.get(decision.unit);
    if (decision.kind !== 'move' || old === undefined) return [];
    return touched.has(`${old} ${decision.unit}`) ? [] : [decision];
  });
}

function withoutFailed(plans: Plans, outcomes: readonly UnitOutcome[]): Plans {
  const failed = new Set(outcomes.flatMap(({ unit, failure }) => (failure === undefined ? [] : [unit])));
  return select(plans, (_, unit) => !failed.has(unit));
}

/** Assigns units to the machines they come from again, unless somebody has decided about them since. */
export function takeBack(
  moves: readonly Move[],
  snapshot: ClusterSnapshot,
  view: RegistryView,
): readonly Edit[] {
  const decided = new Map(snapshot.units.map(({ name, token }) => [name, token]));
  return moves.flatMap(({ unit: name, from, machine }): readonly Edit[] => {
    const unit = view.units.get(name);
    if (unit?.machine !== machine || unit.token !== decided.get(name)) return [];
    const place = (id: string) => ({ id, name: machineNameOf(id, snapshot) });
    const event = { kind: 'return', unit: name, from: place(machine), to: place(from) } as const;
    return [
      { kind: 'put-unit', unit: { ...unit, machine: from } },
      { kind: 'log', events: [event] },
    ];
  });
}

/** fleet lets a unit that names itself in Conflicts= run; that there are never two of it is what it asks for. */
function isAlone(unit: DesiredUnit | undefined): boolean {
  if (unit?.placement.fence !== undefined) return true;
  return unit?.placement.conflicts.some((pattern) => globMatcher(pattern)(unit.name)) ?? false;
}

function select(plans: Plans, holds: (machine: string, unit: string) => boolean): Plans {
  return plans
    .map(({ machine, changes }) => ({ machine, changes: changes.filter(({ unit }) => holds(machine, unit)) }))
    .filter(({ changes }) => changes.length > 0);
}
