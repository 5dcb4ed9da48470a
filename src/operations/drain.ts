import { compareText } from '../base/compare.ts';
import type { DesiredUnit } from '../cluster/snapshot.ts';
import type { Machine } from '../machine/machine.ts';
import { type Edges, reconcile } from '../reconcile/reconcile.ts';
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
export async function drain(edges: Edges, request: DrainRequest): Promise<DrainResult> {
  const machine = await findMachine(edges, { kind: 'machine', text: request.machine });
  await setCordon(edges, [machine.name], request.globals ? 'all' : 'standard');
  const results: RequestResult[] = [];
  const moves: Move[] = [];
  const pass = async (units: readonly string[]): Promise<RequestResult> => {
    const report = await reconcile(edges, new Set(units), { drain: machine.name });
    const result = requestResult(report, []);
    results.push(result);
    moves.push(...movesOf(report).filter(({ unit }) => hasGone(unit, result)));
    return result;
  };
  const first = await edges.registry.load();
  if (request.globals) await pass(globalUnits(first));
  let waiting = unitsOn(machine, first);
  while (waiting.length > 0) {
    const { results: done } = await pass(waiting.slice(0, request.maxParallel));
    if (done.some(({ failures }) => failures.length > 0)) break;
    waiting = waiting.slice(request.maxParallel);
  }
  const view = await edges.registry.load();
  return {
    ...merged(results),
    machine: machineRef({ machine, id: view.machines.get(machine.name)?.id }),
    moves,
    left: unitsOn(machine, view),
  };
}

/** Standard units that are wanted on a machine; those that others follow (MachineOf=) first. */
function unitsOn({ name }: Machine, view: RegistryView): readonly string[] {
  const id = view.machines.get(name)?.id;
  const isThere = ({ machine, target, placement }: DesiredUnit): boolean =>
    id !== undefined && machine === id && target !== 'inactive' && !placement.global;
  return [...view.units.values()]
    .filter(isThere)
    .toSorted(
      (a, b) =>
        a.placement.machineOf.length - b.placement.machineOf.length ||
        Number(a.triggers !== undefined) - Number(b.triggers !== undefined) ||
        compareText(a.name, b.name),
    )
    .map(({ name: unit }) => unit);
}

function globalUnits(view: RegistryView): readonly string[] {
  return [...view.units.values()].filter(({ placement }) => placement.global).map(({ name }) => name);
}

function hasGone(name: string, { results }: RequestResult): boolean {
  return results.some(({ unit, failures }) => unit === name && failures.length === 0);
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
