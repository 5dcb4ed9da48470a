import { FleetError } from '../../base/errors.ts';
import type { Config } from '../../config/config.ts';
import { unlistedMachine } from '../../config/read.ts';
import type { Access } from '../../ssh/become.ts';
import { accessTo } from '../become-password.ts';
import { sshTarget } from '../ssh-targets.ts';
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
  const listed = config.machines.filter(({ machine }) => machine.name === host);
  const isOther = listed.length === 0 && host.includes('@');
  const found = isOther ? [unlistedMachine(host, config, by)] : listed;
  const machines = found.map((machine) => sshTarget(machine, config, streams));
  const [access] = (await accessTo({ ...config, machines }, streams)).values();
  if (access !== undefined) return access;
  throw new FleetError('machine-not-found', `No such machine: "${host}"`, {
    hint: 'Name a machine of fleet.conf, or USER@HOST for another host',
  });
}
