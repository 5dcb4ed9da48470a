import { hostname, userInfo } from 'node:os';
import { FleetError } from '../base/errors.ts';
import { sha256 } from '../base/hash.ts';
import { systemClock, uptimeClock } from '../base/time.ts';
import type { Config } from '../config/config.ts';
import type { Machine } from '../machine/machine.ts';
import { guarded } from '../reconcile/guard.ts';
import type { Observer, Ports } from '../reconcile/ports.ts';
import { previewRegistry } from '../registry/registry.ts';
import type { SshTarget } from '../ssh/target.ts';
import type { SessionTransport } from '../ssh/transport.ts';
import { thisProcess } from '../store/owner.ts';
import { DEFAULT_WAIT, previewDriver, type WaitPolicy } from '../systemd/driver.ts';
import { createSshDriver } from '../systemd/ssh-driver.ts';
import { accessTo, transportFor } from './access.ts';
import type { Call } from './command.ts';
import { followPass } from './follow-pass.ts';
import { namedController, ownConfig } from './own-config.ts';
import { openRegistry, registryOptions } from './registry.ts';
import { sshTargets } from './ssh-targets.ts';
import { type Streams, writeLines } from './streams.ts';

/** The machines' shells, over the connections that the driver uses too. */
export type SshAccess = {
  readonly transport: SessionTransport;
  /** Throws FleetError `machine-not-found`. */
  targetOf(machine: Machine): SshTarget;
};

type PortsOptions = {
  /** Machines are only observed, and changes of the registry are not stored. */
  readonly dryRun?: boolean;
  /** Limits the waits for jobs. */
  readonly wait?: WaitPolicy;
  /** Whether the registry is compared with the machines before anything is stored; true unless given. */
  readonly guard?: boolean;
  /** Whether a fleetd of this computer runs the pass, if there is one; false unless given. */
  readonly controller?: boolean;
};

/** Runs `work` with the registry and the machines of the user's configuration, and closes them afterwards. */
export async function withPorts<T>(
  { flags, streams }: Pick<Call, 'flags' | 'streams'>,
  work: (ports: Ports, access: SshAccess) => Promise<T>,
  options: PortsOptions = {},
): Promise<T> {
  const isExcluded = namedController(flags, streams).endpoint === 'none';
  const controller = options.controller === true && !isExcluded;
  return withConfig(await ownConfig(flags, streams), streams, work, { ...options, controller });
}

/** {@link withPorts} for a given configuration, which may not be stored yet. */
export async function withConfig<T>(
  config: Config,
  streams: Streams,
  work: (ports: Ports, access: SshAccess) => Promise<T>,
  { dryRun = false, wait = DEFAULT_WAIT, guard = true, controller = false }: PortsOptions = {},
): Promise<T> {
  const { machines, sshConfigNotes } = sshTargets(config, streams);
  if (config.verbose) writeLines(streams.err, sshConfigNotes);
  const transport = transportFor(config, streams);
  const access = await accessTo({ ...config, machines }, streams);
  const driver = createSshDriver(transport, { access, settleMs: config.settle, wait });
  const registry = await openRegistry(config, streams, driver);
  const follower = followPass(streams, dryRun);
  const unguarded: Ports = {
    registry: dryRun ? previewRegistry(registry, registryOptions(streams)) : registry,
    driver: dryRun ? previewDriver(driver) : driver,
    clock: systemClock,
    observer: observerOf(config),
    machines: machines.map(({ machine }) => machine),
    agentTtlMs: config.agent_ttl,
    cutOff: config.cut_off,
    emit: follower.emit,
  };
  const found = controller && !dryRun ? await controllerFor(config, streams, unguarded, wait) : undefined;
  const ports = found?.ports ?? (guard ? guarded(unguarded) : unguarded);
  try {
    const targetOf = ({ name }: Machine): SshTarget => {
      const found = access.get(name);
      if (found !== undefined) return found.ssh;
      throw new FleetError('machine-not-found', `No such machine: "${name}"`);
    };
    return await work(ports, { transport, targetOf });
  } finally {
    follower.end();
    found?.close();
    await Promise.all([ports.driver.close(), ports.registry.close()]);
  }
}

/** The ports with the fleetd of this computer; undefined without one. */
async function controllerFor(config: Config, streams: Streams, ports: Ports, wait: WaitPolicy) {
  const { foundEndpoint, linkToController } = await import('./controller-pass.ts');
  const endpoint = foundEndpoint(config);
  if (endpoint === undefined) return undefined;
  const { author } = registryOptions(streams);
  return linkToController(ports, { endpoint, config, wait, author });
}

/** Observations of another person, computer or configuration do not count here. */
function observerOf({ file }: Config): Observer {
  const parts = [userInfo().uid, hostname(), thisProcess().boot, file];
  return { id: sha256(parts.join('\n')).slice(0, 16), uptime: uptimeClock };
}
