import { compareText } from '../base/text.ts';
import type { DesiredUnit } from '../cluster/snapshot.ts';
import type { Machine } from '../machine/machine.ts';
import type { Ports } from '../reconcile/ports.ts';
import { type ReconcileReport, reconcile } from '../reconcile/reconcile.ts';
import type { RegistryView } from '../registry/view.ts';
import { setCordon } from './cordon.ts';
import { findMachine } from './find-machine.ts';
import { type MachineRef, machineRef } from './machine-ref.ts';
import { type Move, movesOf } from './moves.ts';
import { type RequestResult, requestResult } from './unit-result.ts';

export type DrainRequest = {
  readonly machine: string;
  /** How many units may be on their way at once. */
  readonly maxParallel: number;
  /** Global units leave too. */
  readonly globals: boolean;
};

export type DrainResult = RequestResult & {
  readonly machine: MachineRef;
  readonly moves: readonly Move[];
  /** Standard units that are still there, because something failed before their turn, or nothing else fits. */
  readonly left: readonly string[];
};

/**
 * Cordons a machine and moves its standard units to others, `maxParallel` at a time: each is up there before the next
 * ones go, and a unit that does not come up elsewhere stays where it is and ends the drain.
 */
export async function drain(ports: Ports, request: DrainRequest): Promise<DrainResult> {
  const machine = await findMachine(ports, { kind: 'machine', text: request.machine });
  await setCordon(ports, [machine.name], request.globals ? 'all' : 'standard');
  const first = await ports.registry.load();
  const pass = async (
    units: readonly string[],
    maxParallel?: number,
  ): Promise<ReconcileReport | undefined> =>
    units.length === 0
      ? undefined
      : reconcile(ports, new Set(units), { drain: machine.name, ...(maxParallel && { maxParallel }) });
  const globals = request.globals ? await pass(globalUnits(first)) : undefined;
  const standard = await pass(unitsOn(machine, first), request.maxParallel);
  const results = [globals, standard].map((report) => requestResult(report, []));
  const moves = [globals, standard].flatMap((report, index) => {
    const result = results[index];
    return report && result ? movesOf(report).filter(({ unit }) => hasGone(unit, result)) : [];
  });
  const view = await ports.registry.load();
  return {
    ...merged(results),
    machine: machineRef({ machine, id: view.machines.get(machine.name)?.id }),
    moves,
    left: unitsOn(machine, view),
  };
}

/** Standard units that are on a machine, by name; one that is wanted nowhere is there until it is known to be gone. */
function unitsOn({ name }: Machine, view: RegistryView): readonly string[] {
  const id = view.machines.get(name)?.id;
  const isThere = ({ machine, placement }: DesiredUnit): boolean =>
    id !== undefined && machine === id && !placement.global;
  return [...view.units.values()]
    .filter(isThere)
    .map(({ name: unit }) => unit)
    .toSorted(compareText);
}

function globalUnits(view: RegistryView): readonly string[] {
  return [...view.units.values()].filter(({ placement }) => placement.global).map(({ name }) => name);
}

function hasGone(name: string, { results }: RequestResult): boolean {
  return results.some(
    ({ unit, failures, machines }) => unit === name && failures.length === 0 && machines.length > 0,
  );
}

/** The results of passes, one after the other. */
function merged(results: readonly RequestResult[]): RequestResult {
  return {
    results: results.flatMap((each) => each.results),
    problems: [],
    differing: [],
    plans: results.flatMap(({ plans }) => plans),
    unreachable: results.at(-1)?.unreachable ?? [],
  };
}
