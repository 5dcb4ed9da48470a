import { groupBy } from '../base/group-by.ts';
import {
  type ClusterSnapshot,
  type MachineView,
  otherCluster,
  type UnreadableUnit,
} from '../cluster/snapshot.ts';
import { mayBeDown } from '../cluster/unreachable.ts';
import type { VoterChange } from '../quorum/electorate.ts';
import type { Ports } from '../reconcile/ports.ts';
import { reconcile } from '../reconcile/reconcile.ts';
import type { Stay } from '../schedule/decision.ts';
import { isCutOff } from '../schedule/schedule.ts';
import { type Move, movesOf } from './drain.ts';
import { type MachineRef, machineRef } from './listing.ts';
import { type RequestResult, requestResult, type UnitResult } from './unit-result.ts';

/** Units that stay on a machine that is unreachable or unusable. */
export type Stranded = {
  readonly machine: MachineRef;
  /** The machine answers, but cannot be used. */
  readonly isUp: boolean;
  readonly units: readonly string[];
  /** Why they stay, and how long the machine has been unreachable, in ms; undefined for units that do not want to move. */
  readonly wait: { readonly stays: Stay; readonly silentMs: number } | undefined;
};

/** A unit with the paths of drop-ins. */
export type Extended = {
  readonly unit: string;
  readonly machine: MachineRef;
  readonly dropIns: readonly string[];
};

/** The result of a pass over everything. */
export type PassResult = RequestResult & {
  readonly moves: readonly Move[];
  readonly stranded: readonly Stranded[];
  /** Units of the registry that cannot be read; they were not changed. */
  readonly unreadable: readonly UnreadableUnit[];
  /** Units with drop-ins on their machine, which no pass removes, because fleet did not write them. */
  readonly extended: readonly Extended[];
  /** A machine belongs to another cluster. */
  readonly otherCluster: boolean;
  /** All machines with a cluster belong to another one: the registry may have been replaced. */
  readonly isLost: boolean;
  /** More than half of the machines are unreachable, so no unit leaves an unreachable one. */
  readonly cutOff: boolean;
  /** The voters of the registry that were replaced, which has been reported already. */
  readonly newVoters: readonly VoterChange[];
};

/**
 * One pass over everything: units leave machines that have been unreachable for too long, differences from the registry are
 * repaired, surplus copies are removed, and machines get missing global units. Throws FleetError `registry-outdated` before
 * any change if machines are ahead of the registry.
 */
export async function reconcileEverything(ports: Ports): Promise<PassResult> {
  const report = await reconcile(ports, 'everything');
  const { snapshot } = report;
  const request = requestResult(report, []);
  const owned = snapshot.machines.filter(({ observation }) => observation?.cluster !== undefined);
  const theirs = owned.filter((view) => otherCluster(view, snapshot) !== undefined);
  return {
    ...request,
    results: request.results.map((result) => withoutUnreachable(result, snapshot)),
    moves: movesOf(report),
    stranded: strandedUnits(request.results, snapshot),
    unreadable: snapshot.unreadable ?? [],
    extended: snapshot.machines.flatMap(extendedOn),
    otherCluster: theirs.length > 0,
    isLost: theirs.length > 0 && theirs.length === owned.length,
    cutOff: isCutOff(snapshot),
    newVoters: report.newVoters ?? [],
  };
}

function extendedOn(view: MachineView): readonly Extended[] {
  return (view.observation?.units ?? []).flatMap(({ name: unit, record, state: { dropIns } }) =>
    record === undefined || dropIns === undefined ? [] : [{ unit, machine: machineRef(view), dropIns }],
  );
}

/** The result without failures of unreachable machines, which are reported once per machine. */
function withoutUnreachable(result: UnitResult, snapshot: ClusterSnapshot): UnitResult {
  const failures = result.failures.filter(({ machine }) => !isUnreachable(machine, snapshot));
  const violation = result.violation?.code === 'machine-silent' ? undefined : result.violation;
  return { ...result, failures, violation };
}

function isUnreachable({ name }: MachineRef, { machines }: ClusterSnapshot): boolean {
  return machines.some(({ machine, unreachable }) => machine.name === name && unreachable !== undefined);
}

/** The stranded units by machine, and by the reason why they stay. Global units are never stranded, because they need no replacement elsewhere. */
function strandedUnits(results: readonly UnitResult[], snapshot: ClusterSnapshot): readonly Stranded[] {
  return snapshot.machines.flatMap((view): readonly Stranded[] => {
    const here = results.filter(
      ({ global, failures }) =>
        !global &&
        view.unreachable !== undefined &&
        failures.some(({ machine }) => machine.name === view.machine.name),
    );
    const isUp = view.unreachable !== undefined && !mayBeDown(view.unreachable);
    const groups = groupBy(here, (result) => JSON.stringify([waitOf(result)]));
    return [...groups.values()].map((group) => ({
      machine: machineRef(view),
      isUp,
      units: group.map(({ unit }) => unit),
      wait: waitOf(group[0]),
    }));
  });
}

function waitOf({ violation, stays }: UnitResult): Stranded['wait'] {
  if (violation?.code !== 'machine-silent' || stays === undefined) return undefined;
  return { stays, silentMs: violation.silentMs };
}
