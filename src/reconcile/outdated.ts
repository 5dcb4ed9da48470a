import { FleetError } from '../base/errors.ts';
import type { MachineView, Observation, Token } from '../cluster/snapshot.ts';
import type { Registry } from '../registry/registry.ts';
import type { RegistryView } from '../registry/view.ts';

/** A machine, and what it answered. */
type Seen = Pick<MachineView, 'machine' | 'observation'>;

/**
 * Throws FleetError `registry-outdated` when a machine of this cluster has seen a token that this registry has not given
 * yet. `view` was loaded after the machines were asked, so no process can have been faster: an old backup was put in its
 * place. To it, everything newer would look like unwanted copies.
 */
export function refuseOutdated(view: RegistryView, machines: readonly Seen[]): void {
  const [newest] = machines
    .flatMap(({ machine: { name }, observation }) =>
      observation === undefined || observation.cluster !== view.clusterId
        ? []
        : [{ name, token: highestToken(observation) }],
    )
    .toSorted((a, b) => b.token - a.token);
  if (newest === undefined || newest.token <= view.token) return;
  throw new FleetError(
    'registry-outdated',
    `The registry is older than what it decides about: it is at revision ${view.token}, and machine "${newest.name}" has seen revision ${newest.token}`,
    {
      hint: 'Put a newer backup back; or move this registry away, and run "fleetctl recover" to rebuild it from the machines',
    },
  );
}

/** The same registry, but updates are refused while `machines`, as they were seen last, know more than it. */
export function comparedRegistry(registry: Registry, machines: () => readonly Seen[]): Registry {
  return {
    load: () => registry.load(),
    update: (decide) => {
      // Before the registry is read: what others have decided since is in it then.
      const seen = machines();
      return registry.update((view) => {
        refuseOutdated(view, seen);
        return decide(view);
      });
    },
    waitForChange: (view, signal) => registry.waitForChange(view, signal),
    close: () => registry.close(),
  };
}

/** Of the units that are there, and of those that were, where that was asked for. */
function highestToken({ units, token = 0 }: Observation): Token {
  return units.reduce((highest, { record }) => Math.max(highest, record?.token ?? 0), token);
}
