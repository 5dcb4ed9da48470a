import { isFleetError } from '../base/errors.ts';
import type { Drift } from '../cluster/drift.ts';
import type { SystemdState } from '../cluster/unit-state.ts';
import type { Ports } from '../reconcile/ports.ts';
import { statusQuery } from '../systemd/queries.ts';
import { lostMachine, type MachineRef, machineRef, type UnreachableMachine } from './listing.ts';
import { byMachine, type PlacesRequest, type UnitPlaces, withPlaces } from './unit-places.ts';

export type StatusRequest = PlacesRequest & {
  /** The number of journal lines; undefined for states only. */
  readonly lines: number | undefined;
};

/** One unit on one machine. */
export type UnitStatus = {
  readonly unit: string;
  readonly machine: MachineRef;
  /** Undefined for a unit that should be there but that systemd does not know. */
  readonly state: SystemdState | undefined;
  /** The difference from the registry. */
  readonly drift: Drift | undefined;
  /** The output of `systemctl status`; empty if not requested. */
  readonly text: string;
};

export type StatusResult = Omit<UnitPlaces, 'places'> & { readonly statuses: readonly UnitStatus[] };

/** The states of units on all their machines. An error of one machine does not hide the others. */
export function unitStatus(ports: Ports, request: StatusRequest): Promise<StatusResult> {
  return withPlaces(ports, request, async (found, sessions) => {
    const { places, ...rest } = found;
    const lost: UnreachableMachine[] = [];
    const texts = new Map<string, string>();
    const ask = async ({ view, units }: ReturnType<typeof byMachine>[number]): Promise<void> => {
      const { name } = view.machine;
      try {
        const answer =
          (await sessions.get(name)?.ask(statusQuery({ units, lines: request.lines ?? 0 }))) ?? [];
        for (const [index, unit] of units.entries()) texts.set(`${unit} ${name}`, answer[index] ?? '');
      } catch (error) {
        if (!isFleetError(error)) throw error;
        lost.push(lostMachine(machineRef(view), error));
      }
    };
    if (request.lines !== undefined) await Promise.all(byMachine(places).map(ask));
    const missing = new Set(lost.map(({ machine }) => machine.name));
    return {
      ...rest,
      statuses: places
        .filter(({ view }) => !missing.has(view.machine.name))
        .map(({ unit, view, state, drift }) => ({
          unit,
          machine: machineRef(view),
          state,
          drift,
          text: texts.get(`${unit} ${view.machine.name}`) ?? '',
        })),
      unreachable: [...rest.unreachable, ...lost],
    };
  });
}
