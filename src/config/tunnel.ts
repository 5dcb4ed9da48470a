import type { SshTarget } from '../ssh/target.ts';
import { formatAddress, parseAddress } from './address.ts';
import type { Config, ConfigRequest } from './config.ts';
import { parseSections, type Section } from './parse.ts';
import { problem, quote } from './problem.ts';
import { readConfig } from './read.ts';
import { parseUser } from './schema.ts';

/** The way to the box of a controller. */
export type Tunnel = { readonly config: Config; readonly target: SshTarget };

/** Who named the box, for messages. */
type Named = '--tunnel' | 'MACHINE' | 'registry';

/** What goes on top of the tunnel's own: the keys of `[ssh]` of that file. */
type Beside = { readonly file: string; readonly sections: ReadonlyMap<string, Section> };

/**
 * Reads `host`, `user@host` or `user@host:port`, where the host may be an alias of ssh_config: it is reached as the one
 * machine of a fleet.conf would be that says no more, or has the `[ssh]` of the one it is named in. Throws FleetError `config`.
 */
export function readTunnel(
  text: string,
  request: ConfigRequest,
  by: Named = '--tunnel',
  beside?: Beside,
): Tunnel {
  const [, user, address = ''] = /^(?:(.+)@)?([^@]+)$/.exec(text) ?? [];
  const parsed = parseAddress(address);
  if (parsed === undefined || (user !== undefined && parseUser(user) === undefined))
    throw problem(`"${by}" must be HOST, USER@HOST or USER@HOST:PORT: ${quote(text)}`);
  const name = /^[a-z0-9][a-z0-9._-]*$/i.test(parsed.host) ? parsed.host : 'tunnel';
  const lines = [`[machine.${name.replaceAll('.', '-')}]`, `address = ${formatAddress(parsed)}`];
  const file = [...lines, ...(user === undefined ? [] : [`user = ${JSON.stringify(user)}`]), ''].join('\n');
  const sections = new Map(parseSections(by, file));
  const ssh = beside?.sections.get('ssh');
  if (ssh !== undefined) sections.set('ssh', ssh);
  const config = readConfig(beside?.file ?? '/', sections, request);
  const [machine] = config.machines;
  if (machine === undefined) throw problem(`"${by}" leads nowhere`);
  return { config, target: machine.ssh };
}
