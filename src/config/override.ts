import type { ConfigFlags } from './config.ts';
import type { Section, Setting } from './parse.ts';
import { excerpt, problem } from './problem.ts';
import { parseBoolean } from './schema.ts';

/** Each flag, its environment twin, and the key of `[ssh]` that both stand for. */
const OVERRIDES = [
  ['sshUsername', '--ssh-username', 'FLEETCTL_SSH_USERNAME', 'user'],
  ['sshIdentityFile', '--ssh-identity-file', 'FLEETCTL_SSH_IDENTITY_FILE', 'identity_file'],
  [
    'identityPassphraseFile',
    '--identity-passphrase-file',
    'FLEETCTL_IDENTITY_PASSPHRASE_FILE',
    'identity_passphrase_file',
  ],
  ['sshTimeout', '--ssh-timeout', 'FLEETCTL_SSH_TIMEOUT', 'connect_timeout'],
  ['sshConfig', '--ssh-config', 'FLEETCTL_SSH_CONFIG', 'ssh_config'],
  ['knownHostsFile', '--known-hosts-file', 'FLEETCTL_KNOWN_HOSTS_FILE', 'known_hosts_file'],
  [
    'strictHostKeyChecking',
    '--strict-host-key-checking',
    'FLEETCTL_STRICT_HOST_KEY_CHECKING',
    'strict_host_key_checking',
  ],
] as const;

/**
 * What flags and environment say, as a section of the same keys as `[ssh]`. A flag beats its variable; an empty
 * variable counts as unset, an empty flag is a value.
 */
export function overrideSection(
  flags: ConfigFlags,
  env: Readonly<Record<string, string | undefined>>,
): Section {
  const settings = new Map<string, Setting>();
  for (const [name, flag, variable, key] of OVERRIDES) {
    const given = flags[name];
    const value = given ?? env[variable];
    if (value === undefined || (given === undefined && value === '')) continue;
    const where = given === undefined ? `environment variable "${variable}"` : `flag "${flag}"`;
    settings.set(key, { key, value, where, line: 0 });
  }
  return { name: 'flags and environment', where: 'flags and environment', line: 0, settings };
}

/** Whether a flag without a value is given, or its variable is true. */
export function isAsked(
  given: boolean | undefined,
  variable: string,
  env: Readonly<Record<string, string | undefined>>,
): boolean {
  const text = env[variable] || 'false';
  const asks = parseBoolean(text);
  if (asks !== undefined) return given === true || asks;
  throw problem(`environment variable "${variable}" must be true or false: ${excerpt(text)}`);
}
