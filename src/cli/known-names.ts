import { join } from 'node:path';
import { sha256 } from '../base/hash.ts';
import type { Config } from '../config/config.ts';
import { clusterMachines } from '../registry/inventory.ts';
import type { RegistryView } from '../registry/view.ts';
import { cacheFolder, quietly, readPrivate, writePrivate } from './cache-folder.ts';
import type { Streams } from './streams.ts';

/** Names for completion, which must not wait for a connection. */
export type KnownNames = {
  readonly units: readonly string[];
  readonly machines: readonly { readonly name: string; readonly address: string }[];
};

/**
 * Keeps the names of a registry that is reached over SSH for the next completion with this fleet.conf. A failure only costs
 * candidates.
 */
export function keepNames(
  view: RegistryView | undefined,
  config: Config,
  streams: Pick<Streams, 'env' | 'home'>,
): void {
  if (view === undefined) return;
  quietly(() => {
    const path = pathOf(config, streams);
    const begin = `${view.clusterId} ${view.revision}\n`;
    if (readPrivate(path)?.startsWith(begin)) return;
    const proposed = config.machines.map(({ machine }) => machine);
    const machines = clusterMachines(view, proposed).map(({ name, address }) => ({ name, address }));
    const names: KnownNames = { units: view.unitNames, machines };
    writePrivate(path, `${begin}${JSON.stringify(names)}\n`);
  });
}

/** Undefined if no command has read the registry with this fleet.conf. */
export function namesKept(config: Config, streams: Pick<Streams, 'env' | 'home'>): KnownNames | undefined {
  const text = readPrivate(pathOf(config, streams));
  return text === undefined ? undefined : quietly(() => JSON.parse(text.slice(text.indexOf('\n'))));
}

function pathOf({ file }: Config, streams: Pick<Streams, 'env' | 'home'>): string {
  return join(cacheFolder('names', streams), sha256(file));
}
