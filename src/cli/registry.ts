import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { FleetError } from '../base/errors.ts';
import { systemClock } from '../base/time.ts';
import { checkTrusted } from '../base/trusted-file.ts';
import { checkEtcdSettings } from '../config/checks.ts';
import type { Config } from '../config/config.ts';
import {
  EXPECTED_REGISTRY,
  formatRegistryPlace,
  parseRegistryPlace,
  type RegistryPlace,
} from '../config/places.ts';
import type { EtcdSettings } from '../config/values.ts';
import type { LeaderLock } from '../election/leadership.ts';
import type { RegistryOptions } from '../registry/edit.ts';
import { createRegistry, type Registry } from '../registry/registry.ts';
import { openFileStore } from '../store/file.ts';
import type { Store } from '../store/store.ts';
import { transportFor } from './access.ts';
import type { Call } from './command.ts';
import { ownConfig } from './own-config.ts';
import type { Streams } from './streams.ts';
import { VERSION } from './version.ts';

/** Runs `work` with the registry alone; no machine is contacted. */
export async function withRegistry<T>(
  { flags, streams }: Pick<Call, 'flags' | 'streams'>,
  work: (registry: Registry) => Promise<T>,
): Promise<T> {
  const registry = await openRegistry(await ownConfig(flags, streams), streams);
  try {
    return await work(registry);
  } finally {
    await registry.close();
  }
}

export async function openRegistry(config: Config, streams: Streams): Promise<Registry> {
  return createRegistry(await openStore(config.registry, config, streams), registryOptions(streams));
}

export function registryOptions({ env }: Pick<Streams, 'env'>): RegistryOptions {
  return { clock: systemClock, author: authorOf(env), fleet: VERSION };
}

/**
 * The author of a change, for the history and the events of the registry: `user@host`. For root it is the person who
 * used sudo(8) or doas(1), from the variables that these set.
 */
export function authorOf(env: Streams['env']): string {
  const person = process.geteuid?.() === 0 ? env.SUDO_USER || env.DOAS_USER || undefined : undefined;
  return `${person ?? accountName()}@${hostname()}`;
}

/** A uid without an entry in passwd(5), as in a container, has no name. */
function accountName(): string {
  try {
    return userInfo().username;
  } catch {
    return `${process.geteuid?.() ?? 'unknown'}`;
  }
}

/** A store with its place as it is written into fleet.conf. */
type PlacedStore = { readonly store: Store; readonly text: string };

/** Runs `work` with the stores at two places that the user named, relative to the working folder. */
export async function withStores<T>(
  [from, to]: readonly [string, string],
  { flags, streams }: Pick<Call, 'flags' | 'streams'>,
  work: (source: PlacedStore, target: PlacedStore) => Promise<T>,
): Promise<T> {
  const { cwd, home } = streams;
  const config = await ownConfig(flags, streams);
  const open = async (text: string): Promise<PlacedStore> => {
    const place = parseRegistryPlace(text, { directory: cwd, home });
    if (place === undefined) {
      throw new FleetError('usage', `Not a place for a registry: "${text}"`, { hint: EXPECTED_REGISTRY });
    }
    checkEtcdSettings(place, config);
    const store = await openStore(place, config, streams);
    return { store, text: place.kind === 'file' ? `file:${place.directory}` : text };
  };
  const source = await open(from);
  try {
    const target = await open(to);
    return await work(source, target).finally(() => target.store.close());
  } finally {
    await source.store.close();
  }
}

/** Opens the store of a registry. The code of remote stores is loaded only for such a store. */
async function openStore(place: RegistryPlace, config: Config, streams: Streams): Promise<Store> {
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

/** Rejects if the registry cannot be written or its leader lock cannot be taken; changes nothing. */
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
      { hint: 'Run it where the registry is, or keep the registry in etcd' },
    );
  if (registry.kind === 'file')
    return (await import('../election/file-leader-lock.ts')).fileLeaderLock(registry.directory, ttlMs);
  const { etcdLeaderLock } = await import('../election/etcd-leader-lock.ts');
  return etcdLeaderLock({ ...config, ...registry }, ttlMs);
}
