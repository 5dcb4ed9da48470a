import { hostname, userInfo } from 'node:os';
import { isFleetError } from '../base/errors.ts';
import { sha256 } from '../base/hash.ts';
import { systemClock, uptimeClock } from '../base/time.ts';
import type { Config } from '../config/config.ts';
import type { Machine } from '../machine/machine.ts';
import { differenceLines } from '../output/inventory.ts';
import { guarded } from '../reconcile/guard.ts';
import type { Observer, Ports } from '../reconcile/ports.ts';
import type { InventoryDifference } from '../registry/inventory.ts';
import { addingMachines, reportingDifferences } from '../registry/proposed-machines.ts';
import { previewRegistry } from '../registry/registry.ts';
import type { SshTarget } from '../ssh/target.ts';
import type { SessionTransport } from '../ssh/transport.ts';
import { thisProcess } from '../store/owner.ts';
import { DEFAULT_WAIT, previewDriver, type WaitPolicy } from '../systemd/driver.ts';
import { createSshDriver } from '../systemd/ssh-driver.ts';
import { clusterAccess, transportFor } from './access.ts';
import type { Call } from './command.ts';
import type { ControllerLink } from './controller-pass.ts';
import { type ChosenEndpoint, foundEndpoint, withEndpoint } from './endpoint.ts';
import { followPass } from './follow-pass.ts';
import { ownConfig } from './own-config.ts';
import {
  authorOf,
  type OpenRegistry,
  openRegistry,
  reachOf,
  registryOptions,
  unopenedRegistry,
} from './registry.ts';
import { sshTargets } from './ssh-targets.ts';
import { type Streams, writeLines } from './streams.ts';

/** The machines' shells, over the connections that the driver uses too. */
export type SshAccess = {
  readonly transport: SessionTransport;
  targetOf(machine: Machine): SshTarget;
};

type PortsOptions = {
  /** Machines are only observed, and changes of the registry are not stored. */
  readonly dryRun?: boolean;
  /** Limits the waits for jobs. */
  readonly wait?: WaitPolicy;
  /** Whether the registry is compared with the machines before anything is stored; true unless given. */
  readonly guard?: boolean;
  /** The units that the command names. */
  readonly units?: readonly string[];
  /** Whether the registry will be changed, which also adds the machines of fleet.conf that it does not have. */
  readonly changes?: boolean;
  /** Whether the work begins although the registry cannot be opened; then every use of it rejects. */
  readonly withoutRegistry?: boolean;
  /** Receives each difference between fleet.conf and the registry; by default, it is printed. */
  readonly onDifference?: (difference: InventoryDifference) => void;
};

/**
 * Runs `work` with the registry and the machines of the user's configuration, and closes them afterwards. With `controller`, a
 * fleetd runs the pass if there is one, or if one is named.
 */
export async function withPorts<T>(
  { flags, streams }: Pick<Call, 'flags' | 'streams'>,
  work: (ports: Ports, access: SshAccess) => Promise<T>,
  { controller = false, ...options }: PortsOptions & { readonly controller?: boolean } = {},
): Promise<T> {
  if (!controller || options.dryRun === true)
    return withConfig(await ownConfig(flags, streams), streams, work, options);
  const { loadConfig } = await import('../config/load.ts');
  const config = await loadConfig({ flags, ...streams });
  return withEndpoint({ flags, streams }, (chosen) => withConfig(config, streams, work, options, chosen));
}

/** {@link withPorts} for a given configuration, which may not be stored yet, and a given fleetd. */
export async function withConfig<T>(
  config: Config,
  streams: Streams,
  work: (ports: Ports, access: SshAccess) => Promise<T>,
  { dryRun = false, wait = DEFAULT_WAIT, guard = true, ...options }: PortsOptions = {},
  chosen: ChosenEndpoint = 'none',
): Promise<T> {
  const { machines, sshConfigNotes } = sshTargets(config, streams);
  if (config.verbose) writeLines(streams.err, sshConfigNotes);
  const transport = transportFor(config, streams);
  const access = await clusterAccess(config, machines, streams);
  let opened: OpenRegistry | undefined;
  const voterPlaces = (): readonly Machine[] => opened?.places() ?? [];
  const driver = createSshDriver(transport, { access, settleMs: config.settle, wait, voterPlaces });
  const follower = followPass(streams, dryRun);
  let found: ControllerLink | undefined;
  let ports: Ports | undefined;
  // Whatever is open keeps the process running, so it is closed after every error.
  try {
    opened = await openRegistry(config, streams, {
      driver,
      onVoters: follower.onVoters,
      reserves: options.changes === true && !dryRun,
    }).catch((error) => {
      if (options.withoutRegistry === true && isFleetError(error)) return unopenedRegistry(error);
      throw error;
    });
    const own = ownPorts(opened, config, streams, { ...options, driver, dryRun, emit: follower.emit });
    const endpoint = chosen === 'found' ? foundEndpoint(config) : chosen;
    if (endpoint !== undefined && endpoint !== 'none') {
      const { linkToController } = await import('./controller-pass.ts');
      found = linkToController(own, { endpoint, config, wait, author: authorOf(streams.env) });
      if (chosen !== 'found') await found.confirm();
    }
    // While a registry elsewhere is read, machines can be observed already.
    const early = guard && reachOf(config) !== 'here' ? (options.units ?? []) : undefined;
    // A controller observes machines all the time.
    ports = found?.ports ?? (guard ? guarded({ ...own, early }) : own);
    return await work(ports, { transport, targetOf: (machine) => access(machine).ssh });
  } finally {
    follower.end();
    found?.close();
    await Promise.all([(ports?.driver ?? driver).close(), opened?.registry.close()]);
  }
}

type OwnPorts = Pick<PortsOptions, 'changes' | 'onDifference'> &
  Pick<Ports, 'driver' | 'emit'> & { readonly dryRun: boolean };

/** The ports of a process that asks no controller. */
function ownPorts(
  { registry, voters }: OpenRegistry,
  config: Config,
  streams: Streams,
  { changes, onDifference, driver, emit, dryRun }: OwnPorts,
): Ports {
  const proposed = config.machines.map(({ machine }) => machine);
  const opened = reportingDifferences(
    registry,
    proposed,
    onDifference ?? ((difference) => writeLines(streams.err, differenceLines(difference))),
  );
  const stored = dryRun ? previewRegistry(opened, registryOptions(streams)) : opened;
  return {
    registry: changes ? addingMachines(stored, proposed) : stored,
    driver: dryRun ? previewDriver(driver) : driver,
    clock: systemClock,
    observer: observerOf(config),
    machines: proposed,
    agentTtlMs: config.agent_ttl,
    cutOff: config.cut_off,
    voters: dryRun ? undefined : voters,
    emit,
  };
}

/** Observations of another person, computer or configuration do not count here. */
function observerOf({ file }: Config): Observer {
  const parts = [userInfo().uid, hostname(), thisProcess().boot, file];
  return { id: sha256(parts.join('\n')).slice(0, 16), uptime: uptimeClock };
}
