import { hostname } from 'node:os';
import { FleetError, isFleetError } from '../../base/errors.ts';
import type { Config, MachineConfig } from '../../config/config.ts';
import { prepareEdit } from '../../config/edit-file.ts';
import { reachedMachine } from '../../config/read.ts';
import type { ConfigFlags } from '../../config/settings.ts';
import { sshHost, thisHost } from '../../install/host.ts';
import type { Site } from '../../operations/install-controller.ts';
import { hintLines } from '../../output/report.ts';
import { clusterMachines } from '../../registry/inventory.ts';
import { accessTo, reach, transportFor } from '../access.ts';
import type { Call } from '../command.ts';
import { ownConfig } from '../own-config.ts';
import { openRegistry } from '../registry.ts';
import { type SshTargets, sshTargets } from '../ssh-targets.ts';
import { type Streams, writeLines } from '../streams.ts';

/** A configuration with the targets of its machines. */
export type SiteConfig = Config & SshTargets;

/**
 * The configuration with all machines of the cluster, as the registry describes them; with those of fleet.conf alone, and a
 * warning, if the registry cannot be read. Throws FleetError `config` as {@link sshTargets} does.
 */
export async function siteConfig(flags: ConfigFlags, streams: Streams): Promise<SiteConfig> {
  const own = await ownConfig(flags, streams);
  const machines = await machinesOf(own, streams).catch((error) => {
    if (!isFleetError(error)) throw error;
    writeLines(streams.err, [
      `Warning: only the machines of fleet.conf are used: ${error.message}`,
      ...hintLines(error.hint),
    ]);
    return own.machines;
  });
  const config = { ...own, machines };
  return { ...config, ...sshTargets(config, streams) };
}

async function machinesOf(config: Config, streams: Streams): Promise<readonly MachineConfig[]> {
  const { registry } = await openRegistry(config, streams);
  const proposed = config.machines.map(({ machine }) => machine);
  try {
    const machines = await registry.read((view) => clusterMachines(view, proposed));
    return machines.map((machine) => reachedMachine(machine, config));
  } finally {
    await registry.close();
  }
}

/** Runs `work` with the host of a controller (MACHINE or USER@HOST over SSH, or this computer) and the machines. */
export async function withSite<T>(
  { arguments: [machine], flags, streams }: Call,
  work: (site: Site, config: SiteConfig) => Promise<T>,
): Promise<T> {
  const config = await siteConfig(flags, streams);
  if (machine === undefined && process.getuid?.() !== 0)
    throw new FleetError('usage', 'Cannot change the controller of this computer without root rights', {
      hint: 'Run the command with sudo, or name a machine',
    });
  const transport = transportFor(config, streams);
  try {
    const access = await accessTo(config, streams);
    const host =
      machine === undefined
        ? thisHost(hostname())
        : sshHost(
            transport,
            access.get(machine) ?? (await reach(machine, config, streams, 'MACHINE')),
            machine,
          );
    const writeOwnConfig = async (settings: ReadonlyMap<string, string>): Promise<void> =>
      (await prepareEdit({ flags, ...streams }, { kind: 'top', settings })).write();
    return await work({ host, transport, access, writeOwnConfig }, config);
  } finally {
    await transport.close();
  }
}
