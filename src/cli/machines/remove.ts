import { FleetError, isFleetError } from '../../base/errors.ts';
import { prepareEdit } from '../../config/edit-file.ts';
import { type DrainResult, drain } from '../../operations/drain.ts';
import { forgetMachine, leaveMachine } from '../../operations/machine-membership.ts';
import { type Departure, refuseNeededVoter, releaseVoter } from '../../operations/release-voter.ts';
import { drainReport, leftBehindLines, movingLines } from '../../output/machines.ts';
import type { Ports } from '../../reconcile/ports.ts';
import { clusterMachines } from '../../registry/inventory.ts';
import { type Call, printInfo, printReport } from '../command.ts';
import { withPorts } from '../context.ts';
import { drainStatus, EXIT, type ExitStatus } from '../exit-status.ts';
import { refuseController } from '../own-config.ts';
import { writeLines } from '../streams.ts';

/** Removes a machine from the registry and from fleet.conf. */
export async function remove(call: Call, name: string): Promise<ExitStatus> {
  const { flags, options, streams } = call;
  refuseController(flags, streams);
  const [drains, isLost] = [options.drain === true, options.lost === true];
  if (drains && isLost)
    throw new FleetError('usage', 'Cannot use --drain and --lost together', {
      hint: 'A machine that is lost cannot be drained',
    });
  const edit = await prepareEdit({ flags, ...streams }, { kind: 'remove', name }).catch((error) => {
    if (isFleetError(error, 'machine-not-found')) return error;
    throw error;
  });
  const isListed = !isFleetError(edit);
  const departure = { machine: name, kind: 'remove' } as const;
  if (drains) {
    const status = await drainFirst(call, departure);
    if (status !== EXIT.done) return status;
  }
  const { left, moving, isStored } = await withPorts(
    call,
    async (ports) => {
      const view = await ports.registry.load();
      if (!isListed && !view.machines.has(name)) throw edit;
      // A machine without an address cannot be drained here.
      const isReached = clusterMachines(view, ports.machines).some((machine) => machine.name === name);
      const stays = isLost || !isReached ? undefined : leaveMachine(view, name);
      if (!isLost) await releaseVoter(ports, departure);
      const units = await forgetMachine(ports.registry, name);
      // Another process may have made it a voter again before. A lost one is replaced if that is possible now.
      await releaseVoter(ports, departure).catch((error) => {
        if (!isLost || !isFleetError(error, 'registry-unavailable')) throw error;
      });
      if (isListed) await edit.write();
      return { left: drains ? stays && [] : stays, moving: units, isStored: ports.voters !== undefined };
    },
    { changes: true, onDifference: () => undefined },
  );
  printInfo(streams, [`Machine ${name} removed from ${isListed ? edit.path : 'the registry'}`]);
  writeLines(streams.err, [...movingLines(moving), ...(left ? leftBehindLines(name, left, isStored) : [])]);
  return EXIT.done;
}

/** Moves all units away, as `fleetctl drain --globals` does. The machine is removed only after a success. */
async function drainFirst(call: Call, departure: Departure): Promise<ExitStatus> {
  const request = { machine: departure.machine, maxParallel: 1, globals: true };
  const drainUnlessNeeded = async (ports: Ports): Promise<DrainResult> => {
    await refuseNeededVoter(ports, departure);
    return drain(ports, request);
  };
  const result = await withPorts(call, drainUnlessNeeded, { changes: true });
  printReport(call.streams, drainReport(result));
  return drainStatus(result);
}
