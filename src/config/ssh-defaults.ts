import { hostname } from 'node:os';
import { join } from 'node:path';
import { type Base, SshConfigResolver } from '../ssh/ssh-config/resolve.ts';
import { TARGET_DEFAULTS } from '../ssh/target.ts';
import type { ConfigRequest } from './config.ts';
import type { SshSettings } from './schema.ts';

/** What stands below a fleet.conf: the files of ssh_config, and what holds where those say nothing either. */
export type SshDefaults = { readonly resolver: SshConfigResolver; readonly base: Base };

/** `ssh_config` of the settings names one file instead of those that ssh reads, or `none`. */
export function sshDefaults(
  { ssh_config: named }: SshSettings,
  { env, cwd, home }: ConfigRequest,
  user: string,
): SshDefaults {
  const uid = process.getuid?.() ?? 0;
  const sources = named === undefined ? ({ kind: 'usual' } as const) : sourcesOf(named);
  return {
    resolver: new SshConfigResolver(sources, { cwd, home, env, user, uid, hostName: hostname() }),
    base: {
      ...TARGET_DEFAULTS,
      user,
      identityAgent: env.SSH_AUTH_SOCK || undefined,
      // fleet's own file, to which new keys go, and what ssh has learnt.
      userKnownHostsFiles: [
        join(home, '.fleetctl/known_hosts'),
        join(home, '.ssh/known_hosts'),
        join(home, '.ssh/known_hosts2'),
      ],
      globalKnownHostsFiles: ['/etc/ssh/ssh_known_hosts', '/etc/ssh/ssh_known_hosts2'],
    },
  };
}

function sourcesOf(path: string) {
  return path === 'none' ? ({ kind: 'none' } as const) : ({ kind: 'file', path } as const);
}
