import { FleetError } from '../../base/errors.ts';
import { readTrustedText } from '../../base/trusted-file.ts';
import type { Config, ConfigRequest, MachineConfig } from '../../config/config.ts';
import { parseSections } from '../../config/parse.ts';
import { readTunnel } from '../../config/tunnel.ts';
import type { Access } from '../../ssh/become.ts';
import { accessTo } from '../become-password.ts';
import type { Streams } from '../streams.ts';

/**
 * The way to root's shell on a machine of the configuration by its name, or to USER@HOST[:PORT]; `by` says who named it. Throws
 * `machine-not-found`.
 */
export async function reach(
  host: string,
  config: Config,
  streams: Streams,
  by: 'MACHINE' | 'registry',
): Promise<Access> {
  const { env, cwd, home } = streams;
  const named = config.machines.find(({ machine }) => machine.name === host);
  if (named === undefined && !host.includes('@'))
    throw new FleetError('machine-not-found', `No such machine: "${host}"`, {
      hint: 'Name a machine of fleet.conf, or USER@HOST for another host',
    });
  const machine = named ?? (await otherHost(host, config, { flags: {}, env, cwd, home }, by));
  const all = await accessTo({ machines: [machine], askBecomePass: config.askBecomePass }, streams);
  return all.get(machine.machine.name) ?? fail(host);
}

/** Reached with the settings of `[ssh]`, as a machine of the file is. */
async function otherHost(
  host: string,
  { file }: Config,
  request: ConfigRequest,
  by: 'MACHINE' | 'registry',
): Promise<MachineConfig> {
  const sections = parseSections(file, readTrustedText(file));
  return readTunnel(host, request, by, { file, sections }).config.machines[0] ?? fail(host);
}

function fail(host: string): never {
  throw new FleetError('machine-not-found', `No such machine: "${host}"`);
}
