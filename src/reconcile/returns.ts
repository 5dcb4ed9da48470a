import type { UnitOutcome } from '../cluster/failure.ts';
import { type ClusterSnapshot, machineNameOf } from '../cluster/snapshot.ts';
import type { MachinePlan } from '../plan/step.ts';
import type { Edit } from '../registry/edit.ts';
import type { RegistryView } from '../registry/view.ts';
import type { Decision } from '../schedule/decision.ts';

type Move = Extract<Decision, { kind: 'move' }>;

/**
 * The moves whose old copy was to go and stays, because the new one did not come up or its turn never came, or because the
 * machine that it is on could not be changed.
 */
export function failedMoves(
  plans: readonly MachinePlan[],
  decisions: readonly Decision[],
  snapshot: ClusterSnapshot,
  outcomes: readonly UnitOutcome[],
): readonly Move[] {
  const planned = new Set(
    plans.flatMap(({ machine, changes }) => changes.map(({ unit }) => `${machine} ${unit}`)),
  );
  const done = new Set(
    outcomes.flatMap(({ unit, machine, failure }) => (failure === undefined ? `${machine} ${unit}` : [])),
  );
  return decisions.flatMap((decision): readonly Move[] => {
    if (decision.kind !== 'move') return [];
    const copyOn = (id: string): string => `${machineNameOf(id, snapshot)} ${decision.unit}`;
    const [old, fresh] = [copyOn(decision.from), copyOn(decision.machine)];
    return planned.has(old) && !done.has(old) && !done.has(fresh) ? [decision] : [];
  });
}

/** Assigns units to the machines they come from again, unless another process has decided about them since. */
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
