import { FleetError } from '../base/errors.ts';
import type { Config } from '../config/config.ts';
import { formatRegistryPlace } from '../config/places.ts';
import type { LeaderLock } from '../election/leadership.ts';
import type { Voters } from '../reconcile/ports.ts';
import type { Registry } from '../registry/registry.ts';
import type { MachinesStore } from './machines-store.ts';
import type { Streams } from './streams.ts';

/** A leader lock; on the machines, it has its own voters. */
type OpenLock = LeaderLock & Partial<Pick<Voters, 'tend'> & Pick<MachinesStore, 'relocate'>>;

/** The lock of the one leader, beside the registry. `registry` is undefined if the lock is only looked at. */
export async function openLeaderLock(
  config: Config,
  streams: Streams,
  registry?: Registry,
): Promise<OpenLock> {
  const place = config.registry;
  const ttlMs = leaderTtlOf(config);
  switch (place.kind) {
    case 'machines': {
      const { openMachinesStore } = await import('./machines-store.ts');
      const { storeLeaderLock } = await import('../election/store-leader-lock.ts');
      const { store, relocate } = await openMachinesStore('leader', config, streams, { registry });
      const lock = storeLeaderLock(store, ttlMs);
      return { ...lock, relocate, tend: (candidates) => store.tend(candidates) };
    }
    case 'file': {
      const { fileLeaderLock } = await import('../election/store-leader-lock.ts');
      return fileLeaderLock(place.directory, ttlMs);
    }
    case 'etcd': {
      const { etcdLeaderLock } = await import('../election/etcd-leader-lock.ts');
      return etcdLeaderLock({ ...config, ...place }, ttlMs);
    }
    // A fleetd must not depend on another computer that has one.
    case 'ssh':
      throw new FleetError(
        'config',
        `fleetd cannot use a registry of another computer: ${formatRegistryPlace(place)}`,
        { hint: 'Run it where the registry is, or keep the registry on the machines or in etcd' },
      );
  }
}

/** Rejects if the registry cannot be written or its leader lock cannot be taken; changes nothing. */
export async function probeWriting(config: Config, streams: Streams): Promise<void> {
  const place = config.registry;
  if (place.kind === 'file') await (await import('../store/folder.ts')).probeFolder(place.directory);
  if (place.kind === 'etcd')
    await (await import('../store/etcd/store.ts')).probeEtcd({ ...config, ...place });
  const lock = await openLeaderLock(config, streams);
  try {
    await lock.probe();
  } finally {
    await lock.close();
  }
}

/** The time after which the lock of a dead leader is free, in ms: half of agent_ttl. etcd needs at least 2 s. */
function leaderTtlOf({ agent_ttl: ttlMs }: Pick<Config, 'agent_ttl'>): number {
  return Math.max(2_000, ttlMs / 2);
}

/** Rebuilds the leader lock of a registry on the machines from the rest of its voters, if their majority is lost. */
export async function rebuildLeaderLock(config: Config, streams: Streams, registry: Registry): Promise<void> {
  const { openMachinesStore } = await import('./machines-store.ts');
  const { resetLeaderLock } = await import('../election/store-leader-lock.ts');
  const { store } = await openMachinesStore('leader', config, streams, { registry });
  try {
    const remains = await store.remains();
    if (remains !== undefined) await resetLeaderLock(remains.store, leaderTtlOf(config));
  } finally {
    await store.close();
  }
}
