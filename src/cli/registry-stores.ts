import { FleetError } from '../base/errors.ts';
import { checkEtcdSettings } from '../config/checks.ts';
import { EXPECTED_REGISTRY, parseRegistryPlace } from '../config/places.ts';
import type { ConfigFlags } from '../config/settings.ts';
import type { Store } from '../store/store.ts';
import { openStore } from './context.ts';
import { ownConfig } from './own-config.ts';
import type { Streams } from './streams.ts';

/** A store with its place as fleet.conf has to say it. */
type PlacedStore = { readonly store: Store; readonly text: string };

/** Runs `work` with the stores at two places that the user named, relative to the working folder. */
export async function withStores<T>(
  [from, to]: readonly [string, string],
  flags: ConfigFlags,
  streams: Streams,
  work: (stores: readonly [PlacedStore, PlacedStore]) => Promise<T>,
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
    return await work([source, target]).finally(() => target.store.close());
  } finally {
    await source.store.close();
  }
}
