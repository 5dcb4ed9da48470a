import type { FleetError } from '../base/errors.ts';
import { quoted } from '../base/visible.ts';
import { timeLeft } from '../cluster/confirmation.ts';
import { isFirstText } from '../cluster/held.ts';
import {
  type ClusterSnapshot,
  type Held,
  type MachineView,
  otherCluster,
  type UnreadableUnit,
} from '../cluster/snapshot.ts';
import { isUnknown, type ObservedUnit } from '../cluster/unit-state.ts';
import type { Machine, MachineId } from '../machine/machine.ts';

/** A machine that is missing in a listing, because it did not answer or belongs to another cluster. */
export type UnreachableMachine = {
  readonly machine: MachineRef;
  readonly message: string;
  readonly hint: string | undefined;
  /** How long it has been unreachable, in ms. */
  readonly silentMs: number;
};

/** A unit of fleet in an unknown state on a machine that answered, and the reason. */
export type UnknownUnit = {
  readonly unit: string;
  readonly machine: MachineRef;
  readonly why: string;
  readonly hint?: string;
};

/** A change that its machine reverts in `leftMs` unless it is confirmed (`Confirm=`); 0 if that is due. */
export type UnconfirmedUnit = {
  readonly unit: string;
  readonly machine: MachineRef;
  readonly hash: string;
  readonly leftMs: number;
};

/** The rows of a listing, the missing machines, and the units with an unknown state. */
export type Listing<Row> = {
  readonly rows: readonly Row[];
  readonly unreachable: readonly UnreachableMachine[];
  readonly unknown?: readonly UnknownUnit[];
  /** Units of the registry that cannot be read. */
  readonly unreadable: readonly UnreadableUnit[];
  readonly held?: readonly HeldUnit[];
  readonly unconfirmed?: readonly UnconfirmedUnit[];
  readonly withoutRegistry?: ClusterSnapshot['withoutRegistry'];
};

/** What lists of units say beside their rows. */
export function besideUnits(snapshot: ClusterSnapshot): Omit<Listing<never>, 'rows'> {
  return {
    unreachable: unreachableMachines(snapshot),
    unknown: unknownUnits(snapshot),
    unreadable: snapshot.unreadable ?? [],
    held: heldUnits(snapshot),
    unconfirmed: awaitedConfirmations(snapshot),
    withoutRegistry: snapshot.withoutRegistry,
  };
}

/** A unit whose text has failed, the hash of the text, and whether it has no older one that has not failed. */
export type HeldUnit = {
  readonly unit: string;
  readonly hash: string;
  readonly held: Held;
  readonly isFirst: boolean;
};

export function heldUnits(snapshot: ClusterSnapshot): readonly HeldUnit[] {
  return snapshot.units.flatMap(({ name: unit, hash, held }) =>
    held === undefined ? [] : [{ unit, hash, held, isFirst: isFirstText(unit, snapshot) }],
  );
}

function unknownUnits(snapshot: ClusterSnapshot): readonly UnknownUnit[] {
  return snapshot.machines.flatMap((view) =>
    (otherCluster(view, snapshot) === undefined ? (view.observation?.units ?? []) : [])
      .filter((unit) => isUnknownUnit(unit))
      .map((unit) => ({
        unit: unit.name,
        machine: machineRef(view),
        why: whyUnknown(unit),
        ...(unit.lost && { hint: ADOPTION }),
      })),
  );
}

export function awaitedConfirmations(snapshot: ClusterSnapshot): readonly UnconfirmedUnit[] {
  return snapshot.machines.flatMap((view) =>
    (otherCluster(view, snapshot) === undefined ? (view.observation?.confirmations ?? []) : []).flatMap(
      (each): readonly UnconfirmedUnit[] => {
        if (each.state !== 'armed') return [];
        const { unit, hash } = each;
        return [{ unit, hash, machine: machineRef(view), leftMs: timeLeft(each, view) }];
      },
    ),
  );
}

/** Whether it is a unit of fleet in an unknown state. */
export function isUnknownUnit(unit: ObservedUnit): boolean {
  return unit.lost !== undefined || (unit.record !== undefined && isUnknown(unit.state));
}

const ADOPTION =
  'A pass writes the record again if the file there is the text of the registry: fleetctl reconcile';

function whyUnknown({ name, lost, state }: ObservedUnit): string {
  if (lost === undefined) return state.loadError;
  const shown = isUnknown(state) ? '' : `, and systemd shows it as ${state.active} (${state.sub})`;
  return `its record /var/lib/fleet/units/${name} is ${lost}${shown}`;
}

export function unreachableMachines(snapshot: ClusterSnapshot): readonly UnreachableMachine[] {
  return snapshot.machines.flatMap((view) => {
    const cluster = otherCluster(view, snapshot);
    if (cluster !== undefined) {
      const message = `Machine "${view.machine.name}" (${view.machine.address}) belongs to another cluster: ${quoted(cluster)}`;
      return [{ machine: machineRef(view), message, hint: undefined, silentMs: 0 }];
    }
    if (view.unreachable === undefined) return [];
    const { message, hint, since } = view.unreachable;
    return [{ machine: machineRef(view), message, hint, silentMs: Math.max(0, snapshot.now - since) }];
  });
}

/** A machine that answered, and could not be asked any further. */
export function lostMachine(machine: MachineRef, { message, hint }: FleetError): UnreachableMachine {
  return { machine, message, hint, silentMs: 0 };
}

/** The identification of a machine in output. */
export type MachineRef = {
  readonly name: string;
  readonly id: MachineId | undefined;
  readonly address: string;
};

export function machineRef({ machine, id }: Pick<MachineView, 'id'> & { machine: Machine }): MachineRef {
  return { name: machine.name, id, address: machine.address };
}
