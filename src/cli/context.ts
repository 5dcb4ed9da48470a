import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { FleetError } from '../base/errors.ts';
import { sha256 } from '../base/hash.ts';
import { systemClock, uptimeClock } from '../base/time.ts';
import { checkTrusted } from '../base/trusted-file.ts';
import type { Config, SshConfig } from '../config/config.ts';
import { formatRegistryPlace, type RegistryPlace } from '../config/places.ts';
import type { ConfigFlags } from '../config/settings.ts';
import type { EtcdSettings } from '../config/values.ts';
import type { LeaderLock } from '../election/leadership.ts';
import type { Machine } from '../machine/machine.ts';
import { guarded } from '../reconcile/guard.ts';
import type { Ports } from '../reconcile/reconcile.ts';
import type { Observer } from '../reconcile/silence.ts';
import type { RegistryOptions } from '../registry/edit.ts';
import { previewRegistry } from '../registry/preview.ts';
import { createRegistry, type Registry } from '../registry/registry.ts';
import { createTransport } from '../ssh/any-transport.ts';
import type { SshTarget } from '../ssh/target.ts';
import type { SessionTransport } from '../ssh/transport.ts';
import { openFileStore } from '../store/file.ts';
import { thisProcess } from '../store/owner.ts';
import type { Store } from '../store/store.ts';
import { DEFAULT_WAIT, previewDriver, type WaitPolicy } from '../systemd/driver.ts';
import { createSshDriver } from '../systemd/ssh-driver.ts';
import { askHostKey, askPerson } from './ask-person.ts';
import { authorOf } from './author.ts';
import { accessTo } from './become-password.ts';
import { followPass } from './follow-pass.ts';
import { ownConfig } from './own-config.ts';
import { sshTargets } from './ssh-targets.ts';
import { type Streams, writeLines } from './streams.ts';
import { VERSION } from './version.ts';

/** The way to the machines' shells, over the connections that the driver uses too. */
export type SshAccess = {
  readonly transport: SessionTransport;
  /** Throws FleetError `machine-not-found`. */
  targetOf(machine: Machine): SshTarget;
};

type PortsOptions = {
  readonly dryRun?: boolean;
  readonly wait?: WaitPolicy;
  /** Whether the registry is compared with the machines before anything is stored; true unless given. */
  readonly guard?: boolean;
};

/**
 * Runs `work` with everything that reaches outside, built from the configuration, and lets go of it after. With
 * `dryRun` machines are only looked at, and what would be stored is forgotten. `wait` limits the waits for jobs.
 */
export async function withPorts<T>(
  flags: ConfigFlags,
  streams: Streams,
  work: (ports: Ports, access: SshAccess) => Promise<T>,
  options: PortsOptions = {},
): Promise<T> {
  return withConfig(await ownConfig(flags, streams), streams, work, options);
}

/** The same with a configuration that may not be written yet. */
export async function withConfig<T>(
  config: Config,
  streams: Streams,
  work: (ports: Ports, access: SshAccess) => Promise<T>,
  { dryRun = false, wait = DEFAULT_WAIT, guard = true }: PortsOptions = {},
): Promise<T> {
  const { machines, sshConfigNotes } = sshTargets(config, streams);
  if (config.verbose) writeLines(streams.err, sshConfigNotes);
  const transport = transportFor(config, streams);
  const access = await accessTo({ ...config, machines }, streams);
  const registry = await openRegistry(config, streams);
  const driver = createSshDriver(transport, { access, settleMs: config.settle, wait });
  const follower = followPass(streams, dryRun);
  const unguarded: Ports = {
    registry: dryRun ? previewRegistry(registry, registryOptions(streams.env)) : registry,
    driver: dryRun ? previewDriver(driver) : driver,
    clock: systemClock,
    observer: observerOf(config),
    machines: machines.map(({ machine }) => machine),
    agentTtlMs: config.agent_ttl,
    cutOff: config.cut_off,
    emit: follower.emit,
  };
  const ports = guard ? guarded(unguarded) : unguarded;
  try {
    const targetOf = ({ name }: Machine): SshTarget => {
      const found = access.get(name);
      if (found !== undefined) return found.ssh;
      throw new FleetError('machine-not-found', `No such machine: "${name}"`);
    };
    return await work(ports, { transport, targetOf });
  } finally {
    follower.end();
    await Promise.all([ports.driver.close(), ports.registry.close()]);
  }
}

/** The way to machines' shells, for this person. */
export function transportFor(config: SshConfig, streams: Streams): SessionTransport {
  return createTransport({
    environment: streams.env,
    sshConfigFile: config.ssh.ssh_config,
    askHostKey: askHostKey(streams),
    ask: askPerson(streams),
    passphraseFile: config.ssh.identity_passphrase_file,
    homeFolder: streams.home,
  });
}

/** The same for commands that need the registry and no machine. */
export async function withRegistry<T>(
  flags: ConfigFlags,
  streams: Streams,
  work: (registry: Registry) => Promise<T>,
): Promise<T> {
  const config = await ownConfig(flags, streams);
  const registry = await openRegistry(config, streams);
  try {
    return await work(registry);
  } finally {
    await registry.close();
  }
}

async function openRegistry(config: Config, streams: Streams): Promise<Registry> {
  return createRegistry(await openStore(config.registry, config, streams), registryOptions(streams.env));
}

/** Opens the store of a registry, wherever it is. What speaks to others is loaded only for one that is there. */
export async function openStore(place: RegistryPlace, config: Config, streams: Streams): Promise<Store> {
  if (place.kind === 'file') {
    for (const path of [place.directory, join(place.directory, 'records')]) checkTrusted(path);
    return openFileStore(place.directory);
  }
  if (place.kind === 'ssh') {
    const { openRemoteStore } = await import('./install/remote-store.ts');
    return openRemoteStore(place, config, streams, transportFor(config, streams));
  }
  const { openEtcdStore } = await import('../store/etcd/store.ts');
  return openEtcdStore({ ...config, ...place });
}

/** Rejects where the registry could not be written, or the leader lock beside it not be taken; changes nothing. */
export async function probeWriting(config: Config, ttlMs: number): Promise<void> {
  const { registry } = config;
  if (registry.kind === 'file') await (await import('../store/folder.ts')).probeFolder(registry.directory);
  // openLeaderLock refuses a registry of another computer.
  if (registry.kind === 'etcd')
    await (await import('../store/etcd/store.ts')).probeEtcd({ ...config, ...registry });
  const lock = await openLeaderLock(config, ttlMs);
  try {
    await lock.probe();
  } finally {
    await lock.close();
  }
}

/** The lock of the one leader, beside the registry. */
export async function openLeaderLock(
  config: EtcdSettings & Pick<Config, 'registry'>,
  ttlMs: number,
): Promise<LeaderLock> {
  const { registry } = config;
  if (registry.kind === 'ssh')
    throw new FleetError(
      'config',
      `fleetd cannot use a registry of another computer: ${formatRegistryPlace(registry)}`,
      {
        hint: 'Run it where the registry is, or keep the registry in etcd',
      },
    );
  if (registry.kind === 'file')
    return (await import('../election/file-leader-lock.ts')).fileLeaderLock(registry.directory, ttlMs);
  const { etcdLeaderLock } = await import('../election/etcd-leader-lock.ts');
  return etcdLeaderLock({ ...config, ...registry }, ttlMs);
}

/** What another person, computer or configuration has seen of a machine does not count here. */
function observerOf({ file }: Config): Observer {
  const parts = [userInfo().uid, hostname(), thisProcess().boot, file];
  return { id: sha256(parts.join('\n')).slice(0, 16), uptime: uptimeClock };
}

function registryOptions(env: Streams['env']): RegistryOptions {
  return { clock: systemClock, author: authorOf(env), fleet: VERSION };
}
