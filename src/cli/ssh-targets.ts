import { hostname } from 'node:os';
import { join } from 'node:path';
import { configError, excerpt } from '../base/errors.ts';
import { endPoint, parseUser } from '../config/address.ts';
import type { Config, ConfigRequest, MachineConfig, SshConfig } from '../config/config.ts';
import type { Access } from '../ssh/become.ts';
import { type SshTarget, TARGET_DEFAULTS } from '../ssh/target.ts';
import { type Base, SshConfigResolver } from '../ssh-config/resolve.ts';

/** A machine with all settings of its connection; `become` is `none` for root. */
export type MachineTarget = MachineConfig & Pick<Access, 'ssh' | 'become'>;

/** Machines in the order of the configuration, and notes about each line of ssh_config that is ignored. */
export type SshTargets = {
  readonly machines: readonly MachineTarget[];
  readonly sshConfigNotes: readonly string[];
};

type LocalFacts = Pick<ConfigRequest, 'cwd' | 'home' | 'env'>;

/**
 * Looks the machines up in ssh_config, which executes the commands of its `Match exec`. Throws FleetError `config` for
 * an invalid ssh_config, and for two machines with one end point.
 */
export function sshTargets(config: SshConfig & Pick<Config, 'machines'>, facts: LocalFacts): SshTargets {
  const found = config.machines.map(resolverOf(config, facts));
  const seen = new Map<string, MachineConfig>();
  for (const { target } of found) {
    const key = placeOf(target.ssh);
    const earlier = seen.get(key);
    if (earlier !== undefined) throw sameEndPoint(target, earlier);
    seen.set(key, target);
  }
  return {
    machines: found.map(({ target }) => target),
    sshConfigNotes: [...new Set(found.flatMap(({ notes }) => notes))],
  };
}

/** {@link sshTargets} for one machine, which may be unlisted. */
export function sshTarget(machine: MachineConfig, config: SshConfig, facts: LocalFacts): MachineTarget {
  return resolverOf(config, facts)(machine).target;
}

/** Looks machines up in ssh_config, which is read when this is called. */
export function resolverOf({ ssh: { ssh_config: sshConfigFile }, timeoutMs }: SshConfig, facts: LocalFacts) {
  const { cwd, home, env } = facts;
  const localUser = parseUser(env.USER ?? '') ?? parseUser(env.LOGNAME ?? '') ?? 'root';
  const uid = process.getuid?.() ?? 0;
  const known = { cwd, home, env, user: localUser, uid, hostName: hostname() };
  const resolver = new SshConfigResolver(sourcesOf(sshConfigFile), known);
  const base = defaults(home, localUser, env.SSH_AUTH_SOCK || undefined);
  return (config: MachineConfig): { target: MachineTarget; notes: readonly string[] } => {
    const { machine, host, settings } = config;
    const { user, port, identity_file: key, become = 'sudo' } = settings;
    const always = alwaysOf(settings);
    const { target, notes } = resolver.resolve({ host, user, port, base, always });
    const ssh = {
      ...target,
      // The key of fleet.conf is only for the machine; keys of jump hosts are in ssh_config.
      ...(key !== undefined && { identityFiles: [key], identitiesOnly: true }),
      connectTimeoutMs: Math.min(target.connectTimeoutMs, timeoutMs ?? Number.POSITIVE_INFINITY),
      keepaliveTimeoutMs: timeoutMs ?? target.keepaliveTimeoutMs,
      name: machine.name,
    };
    return { target: { ...config, ssh, become: ssh.user === 'root' ? 'none' : become }, notes };
  };
}

/** The settings that jump hosts on the way share. */
function alwaysOf(settings: MachineConfig['settings']): Partial<SshTarget> {
  const { strict_host_key_checking: checking, transport, known_hosts_file: file } = settings;
  const { connect_timeout: connect, keepalive_timeout: keepalive } = settings;
  return {
    ...(checking !== undefined && { strictHostKeyChecking: checking }),
    ...(transport !== undefined && { transport }),
    ...(connect !== undefined && { connectTimeoutMs: connect }),
    ...(keepalive !== undefined && { keepaliveTimeoutMs: keepalive }),
    ...(file !== undefined && { userKnownHostsFiles: [file], hashKnownHosts: false }),
  };
}

function sourcesOf(path: string | undefined) {
  if (path === undefined) return { kind: 'usual' } as const;
  return path === 'none' ? ({ kind: 'none' } as const) : ({ kind: 'file', path } as const);
}

/** The values of settings that neither fleet.conf nor ssh_config names. */
function defaults(home: string, user: string, identityAgent: string | undefined): Base {
  return {
    ...TARGET_DEFAULTS,
    user,
    identityAgent,
    // The file of fleet, which gets new keys, and those of ssh.
    userKnownHostsFiles: [
      join(home, '.fleetctl/known_hosts'),
      join(home, '.ssh/known_hosts'),
      join(home, '.ssh/known_hosts2'),
    ],
    globalKnownHostsFiles: ['/etc/ssh/ssh_known_hosts', '/etc/ssh/ssh_known_hosts2'],
  };
}

/** One address behind different jump hosts is several machines. */
function placeOf({ host, port, via }: SshTarget): string {
  if (via.kind !== 'jump') return JSON.stringify([endPoint(host, port), via]);
  return JSON.stringify([endPoint(host, port), ...via.jumps.map(placeOf)]);
}

function sameEndPoint({ written }: MachineConfig, earlier: MachineConfig) {
  return configError(
    `${written?.where} is already that of machine "${earlier.machine.name}" on line ${earlier.written?.line}: ${excerpt(written?.value ?? '')}`,
  );
}
