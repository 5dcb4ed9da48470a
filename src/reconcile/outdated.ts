import { FleetError } from '../base/errors.ts';
import type { MachineView } from '../cluster/snapshot.ts';
import type { RegistryView } from '../registry/view.ts';

/**
 * Throws FleetError `registry-outdated` when a machine of this cluster has a unit with a token that this registry
 * has not given yet. `view` was loaded after the machines were asked, so nobody can have been faster: an old
 * backup was put in its place. To it, everything newer would look like copies that nobody wants.
 */
export function refuseOutdated(view: RegistryView, machines: readonly MachineView[]): void {
  for (const { machine, observation } of machines) {
    if (observation === undefined || observation.cluster !== view.clusterId) continue;
    const newer = observation.units.find(({ record }) => (record?.token ?? 0) > view.token);
    if (newer === undefined) continue;
    throw new FleetError(
      'registry-outdated',
      `The registry is older than what it decides about: it is at revision ${view.token}, and machine "${machine.name}" has unit "${newer.name}" of revision ${newer.record?.token}`,
      {
        hint: 'Put a newer backup back; or move this registry away, and run "fleetctl recover" to rebuild it from the machines',
      },
    );
  }
}
