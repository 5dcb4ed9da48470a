import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { FleetError } from '../base/errors.ts';
import { systemClock } from '../base/time.ts';
import { checkTrusted } from '../base/trusted-file.ts';
import type { Config } from '../config/config.ts';
import {
  EXPECTED_REGISTRY,
  formatRegistryPlace,
  parseRegistryPlace,
  type RegistryPlace,
} from '../config/places.ts';
import { checkEtcdSettings } from '../config/read.ts';
import type { Machine } from '../machine/machine.ts';
import type { RegistryStatus } from '../output/registry.ts';
import type { RegisterStatus } from '../quorum/status.ts';
import type { QuorumStore } from '../quorum/store.ts';
import type { Voters } from '../reconcile/ports.ts';
import type { RegistryOptions } from '../registry/edit.ts';
import { clusterMachines, currentName, machinesNamed } from '../registry/inventory.ts';
import { createRegistry, type Registry, withReader, withWholeViews } from '../registry/registry.ts';
import { RegistryView } from '../registry/view.ts';
import { openFileStore } from '../store/file.ts';
import type { Store } from '../store/store.ts';
import type { Call } from './command.ts';
import { keepNames } from './known-names.ts';
import type { MachinesStore, Reaching } from './machines-store.ts';
import { ownConfig } from './own-config.ts';
import type { Streams } from './streams.ts';
import { VERSION } from './version.ts';

/** Runs `work` with the registry alone. Of the machines, only those that store it are contacted. */
export async function withRegistry<T>(
  { flags, streams }: Pick<Call, 'flags' | 'streams'>,
  work: (registry: Registry) => Promise<T>,
): Promise<T> {
  const { registry } = await openRegistry(await ownConfig(flags, streams), streams);
  try {
    return await work(registry);
  } finally {
    await registry.close();
  }
}

/** An open registry and, if it is on the machines, its voters. */
export type OpenRegistry = {
  readonly registry: Registry;
  readonly voters: Voters | undefined;
  /** The voters with their addresses when the registry was read last. */
  readonly places: () => readonly Machine[];
};

/** A registry that could not be opened: reads and changes reject with the error. */
export function unopenedRegistry(error: FleetError): OpenRegistry {
  const reject = (): Promise<never> => Promise.reject(error);
  const registry = withWholeViews({
    read: reject,
    change: reject,
    waitForChange: async () => false,
    close: async () => undefined,
  });
  return { registry, voters: undefined, places: () => [] };
}

/** The machines are reached as the configuration says, unless `reaching` is given. */
export async function openRegistry(
  config: Config,
  streams: Streams,
  reaching?: Reaching,
): Promise<OpenRegistry> {
  const { store, onMachines } = await openStore(config.registry, config, streams, reaching);
  const registry = createRegistry(store, registryOptions(streams));
  const voting = onMachines?.store;
  const proposed = config.machines.map(({ machine }) => machine);
  let last: RegistryView | undefined;
  const located = withReader(relocating(registry, onMachines ?? {}, config), (view) => {
    last = view;
  });
  return {
    registry: {
      ...located,
      close() {
        if (reachOf(config) === 'over ssh') keepNames(viewOf(voting) ?? last, config, streams);
        return located.close();
      },
    },
    voters: voting && votersOf(voting, config, streams),
    places: () => (last === undefined ? [] : machinesNamed(voting?.last?.voters ?? [], last, proposed)),
  };
}

/** The registry; the voters of a store on the machines are asked at the addresses that were read last. */
export function relocating(
  registry: Registry,
  { relocate }: Partial<Pick<MachinesStore, 'relocate'>>,
  { machines }: Config,
): Registry {
  if (relocate === undefined) return registry;
  const proposed = machines.map(({ machine }) => machine);
  return withReader(registry, (view) => relocate(clusterMachines(view, proposed)));
}

/** What the store has read or changed last, which is newer than the last view of all after a change of a part. */
function viewOf(store: QuorumStore | undefined): RegistryView | undefined {
  if (store?.last === undefined) return undefined;
  const { revision, records } = store.last.snapshot;
  return new RegistryView(revision, records);
}

function votersOf(store: QuorumStore, { machines }: Config, streams: Streams): Voters {
  const marks = machines.flatMap(({ machine: { name }, voter }) =>
    voter === undefined ? [] : [[name, voter] as const],
  );
  return {
    tend: (candidates) => store.tend(candidates),
    look: (candidates) => store.look(candidates),
    former: () => store.former,
    names: () => store.names(),
    async remains() {
      const found = await store.remains();
      return found && { ...found, registry: createRegistry(found.store, registryOptions(streams)) };
    },
    marks: new Map(marks),
  };
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

/** The location of the registry, its revision, and its voters if it is on the machines. */
export async function describeRegistry({
  flags,
  streams,
}: Pick<Call, 'flags' | 'streams'>): Promise<RegistryStatus> {
  const config = await ownConfig(flags, streams);
  const place = config.registry;
  const { store, onMachines } = await openStore(place, config, streams);
  const read = async (): Promise<RegisterStatus> => {
    if (onMachines === undefined) return { revision: (await store.list('cluster')).revision, voters: [] };
    const status = await onMachines.store.status();
    return status === undefined ? { revision: 0, voters: [] } : withPresentNames(status, onMachines.store);
  };
  return { place: formatRegistryPlace(place), ...(await read().finally(() => store.close())) };
}

/** A voter keeps the name with which it became one. Without the contents of the registry, only that is known. */
function withPresentNames(status: RegisterStatus, store: QuorumStore): RegisterStatus {
  const view = viewOf(store);
  if (view === undefined) return status;
  const voters = status.voters.map((each) => ({ ...each, machine: currentName(each.machine, view) }));
  return { ...status, voters };
}

/** A store with its place as it is written into fleet.conf, and whether it is the registry there already. */
type PlacedStore = { readonly store: Store; readonly text: string; readonly isInUse: boolean };

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
      throw new FleetError('usage', `Cannot use "${text}" as the address of a registry`, {
        hint: `Write ${EXPECTED_REGISTRY}`,
      });
    }
    checkEtcdSettings(place, config);
    const { store } = await openStore(place, config, streams);
    const isInUse = formatRegistryPlace(place) === formatRegistryPlace(config.registry);
    return { store, text: place.kind === 'file' ? `file:${place.directory}` : text, isInUse };
  };
  const source = await open(from);
  try {
    const target = await open(to);
    return await work(source, target).finally(() => target.store.close());
  } finally {
    await source.store.close();
  }
}

/** How a registry is reached. Completion does not wait for one over SSH. */
type Reach = 'here' | 'over the network' | 'over ssh';

const REACH: Readonly<Record<RegistryPlace['kind'], Reach>> = {
  machines: 'over ssh',
  file: 'here',
  ssh: 'over ssh',
  etcd: 'over the network',
};

export function reachOf({ registry }: Pick<Config, 'registry'>): Reach {
  return REACH[registry.kind];
}

/** `onMachines` is what only a store on the machines has. */
type OpenedStore = { readonly store: Store; readonly onMachines?: MachinesStore };

/** The code of a kind of store is loaded only for such a place. */
async function openStore(
  place: RegistryPlace,
  config: Config,
  streams: Streams,
  reaching?: Reaching,
): Promise<OpenedStore> {
  switch (place.kind) {
    case 'machines': {
      const { openMachinesStore } = await import('./machines-store.ts');
      const onMachines = await openMachinesStore('head', config, streams, { reaching });
      return { store: onMachines.store, onMachines };
    }
    case 'file':
      for (const path of [place.directory, join(place.directory, 'records')]) checkTrusted(path);
      return { store: openFileStore(place.directory) };
    case 'ssh': {
      const { openRemoteStore } = await import('./remote-store.ts');
      return { store: await openRemoteStore(place, config, streams) };
    }
    case 'etcd': {
      const { openEtcdStore } = await import('../store/etcd/store.ts');
      return { store: openEtcdStore({ ...config, ...place }) };
    }
  }
}
