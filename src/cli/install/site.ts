import { hostname } from 'node:os';
import { FleetError } from '../../base/errors.ts';
import type { Config } from '../../config/config.ts';
import type { ConfigFlags } from '../../config/settings.ts';
import { sshHost, thisHost } from '../../install/host.ts';
import type { Site } from '../../operations/install-controller.ts';
import { accessTo, reach, transportFor } from '../access.ts';
import type { Call } from '../command.ts';
import { ownConfig } from '../own-config.ts';
import { type SshTargets, sshTargets } from '../ssh-targets.ts';
import type { Streams } from '../streams.ts';

/** A configuration with the targets of its machines. */
export type SiteConfig = Config & SshTargets;

/** Throws FleetError `config` as {@link sshTargets} does. */
export async function siteConfig(flags: ConfigFlags, streams: Streams): Promise<SiteConfig> {
  const config = await ownConfig(flags, streams);
  return { ...config, ...sshTargets(config, streams) };
}

/** Runs `work` with the host of a controller (MACHINE or USER@HOST over SSH, or this computer) and the machines. */
export async function withSite<T>(
  { arguments: [machine], flags, streams }: Call,
  work: (site: Omit<Site, 'writeOwnConfig'>, config: SiteConfig) => Promise<T>,
): Promise<T> {
  const config = await siteConfig(flags, streams);
  if (machine === undefined && process.getuid?.() !== 0)
    throw new FleetError('usage', 'Cannot work on this computer without root rights', {
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
    return await work({ host, transport, access }, config);
  } finally {
    await transport.close();
  }
}
