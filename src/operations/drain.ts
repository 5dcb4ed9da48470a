import type { Reason } from '../cluster/reason.ts';
import type { ClusterSnapshot, Cordon } from '../cluster/snapshot.ts';
import { isUp } from '../cluster/unit-state.ts';
import { formatMachineId, type MachineId } from '../machine/machine.ts';
import type { ReconcileReport } from '../reconcile/pass.ts';
import type { Ports } from '../reconcile/ports.ts';
import { reconcile } from '../reconcile/reconcile.ts';
import { UNKNOWN_MACHINE } from '../registry/edit.ts';
import type { RegistryView } from '../registry/view.ts';
import { findMachine } from './find-machine.ts';
import { type HeldUnit, heldUnits, type MachineRef, machineRef } from './listing.ts';
import { assignedTo } from './machine-membership.ts';
import { refuseNeededVoter, releaseVoter } from './release-voter.ts';
import { type RequestResult, requestResult } from './unit-result.ts';

export type DrainRequest = {
  readonly machine: string;
  /** How many units move at once. */
  readonly maxParallel: number;
  /** Global units leave too. */
  readonly globals: boolean;
};

export type DrainResult = RequestResult & {
  readonly machine: MachineRef;
  readonly moves: readonly Move[];
  /** The units among them that are held: they have moved with their old texts. */
  readonly held: readonly HeldUnit[];
  /** Standard units that are still there, because of an earlier failure or because no other machine fits. */
  readonly left: readonly string[];
};

/**
 * Cordons a machine and moves its standard units to other machines, `maxParallel` at a time. Each is up before the next
 * ones move. A unit that does not come up elsewhere stays on the machine and ends the drain. A voter of the registry is replaced.
 * Throws FleetError `registry-unavailable`, before any change if possible, if the registry cannot be read without the machine.
 */
export async function drain(ports: Ports, request: DrainRequest): Promise<DrainResult> {
  const machine = await findMachine(ports, { kind: 'machine', text: request.machine });
  const departure = { machine: machine.name, kind: 'drain' } as const;
  await refuseNeededVoter(ports, departure);
  await setCordon(ports, [machine.name], request.globals ? 'all' : 'standard');
  const first = await ports.registry.load();
  const passes: { readonly report: ReconcileReport; readonly result: RequestResult }[] = [];
  const pass = async (units: readonly string[], maxParallel?: number): Promise<void> => {
    if (units.length === 0) return;
    const report = await reconcile(ports, new Set(units), { drain: machine.name, maxParallel });
    passes.push({ report, result: requestResult(withoutKept(report), []) });
  };
  if (request.globals) await pass(globalUnits(first));
  await pass(assignedTo(machine.name, first), request.maxParallel);
  const moves = passes.flatMap(({ report, result }) =>
    movesOf(report).filter(({ unit }) => hasGone(unit, result)),
  );
  await releaseVoter(ports, departure);
  const view = await ports.registry.load();
  return {
    ...merged(passes.map(({ result }) => result)),
    machine: machineRef({ machine, id: view.machines.get(machine.name)?.id }),
    moves,
    held: passes
      .slice(-1)
      .flatMap(({ report }) => heldUnits(report.snapshot))
      .filter(({ unit }) => moves.some((move) => move.unit === unit)),
    left: assignedTo(machine.name, view),
  };
}

function globalUnits(view: RegistryView): readonly string[] {
  return [...view.units.values()].filter(({ placement }) => placement.global).map(({ name }) => name);
}

function hasGone(name: string, { results }: RequestResult): boolean {
  return results.some(
    ({ unit, failures, machines }) => unit === name && failures.length === 0 && machines.length > 0,
  );
}

/** The report, in which a held unit that has moved, and is up with its old text, is not a failure. */
function withoutKept(report: ReconcileReport): ReconcileReport {
  const moves = movesOf(report);
  const gone = new Set(moves.map(({ unit, from }) => `${from.name} ${unit}`));
  const moved = new Set(moves.map(({ unit, to }) => `${to.name} ${unit}`));
  const outcomes = report.outcomes.map((outcome) => {
    const { unit, machine, failure, state } = outcome;
    if (failure?.code !== 'held') return outcome;
    // A preview has no states.
    const isMeantUp = state === undefined || isUp(state);
    const isKept = failure.keeps && isMeantUp && moved.has(`${machine} ${unit}`);
    return isKept || gone.has(`${machine} ${unit}`) ? { ...outcome, failure: undefined } : outcome;
  });
  return { ...report, outcomes };
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

/** A unit that moves to another machine, and the reason against the present one. */
export type Move = {
  readonly unit: string;
  readonly from: MachineRef;
  readonly to: MachineRef;
  readonly because: Reason;
};

/** The moves that a pass decided. */
export function movesOf({ decisions, snapshot }: ReconcileReport): readonly Move[] {
  return decisions.flatMap((decision): readonly Move[] => {
    if (decision.kind !== 'move') return [];
    const { unit, because } = decision;
    const from = refOf(decision.from, snapshot);
    return [{ unit, from, to: refOf(decision.machine, snapshot), because }];
  });
}

/** A machine that is not in fleet.conf any more has its id as name. */
function refOf(id: MachineId, { machines }: ClusterSnapshot): MachineRef {
  const view = machines.find((candidate) => candidate.id === id);
  return view === undefined ? { name: formatMachineId(id), id, address: '' } : machineRef(view);
}

/** The result for one machine; `changed` is false if it had that state already. */
export type CordonResult = {
  readonly machine: string;
  readonly changed: boolean;
  /** The machine is distrusted, so it takes no units in any case. */
  readonly excluded: boolean;
};

/**
 * Cordons machines, or uncordons them (`undefined`). Present units stay, except global ones with `all`. Throws FleetError
 * `machine-not-found` or `usage` before any change.
 */
export async function setCordon(
  ports: Ports,
  arguments_: readonly string[],
  cordon: Cordon | undefined,
): Promise<readonly CordonResult[]> {
  const names: string[] = [];
  for (const text of arguments_) names.push((await findMachine(ports, { kind: 'machine', text })).name);
  let results: readonly CordonResult[] = [];
  await ports.registry.update((view) => {
    results = [...new Set(names)].map((machine) => ({
      machine,
      changed: view.machines.get(machine)?.cordon !== cordon,
      excluded: view.machines.get(machine)?.distrusted === true,
    }));
    return results
      .filter(({ changed }) => changed)
      .flatMap(({ machine }) => {
        const known = view.machines.get(machine) ?? UNKNOWN_MACHINE;
        const event =
          cordon === undefined
            ? ({ kind: 'uncordon', machine } as const)
            : ({ kind: 'cordon', machine, globals: cordon === 'all' } as const);
        return [
          { kind: 'put-machine', name: machine, known: { ...known, cordon } } as const,
          { kind: 'log', events: [event] } as const,
        ];
      });
  });
  return results;
}
