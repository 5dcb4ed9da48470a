import { isFleetError } from '../../base/errors.ts';
import type { Config } from '../../config/config.ts';
import type { ConfigFlags } from '../../config/settings.ts';
import type { RegistryView } from '../../registry/view.ts';
import type { KnownNames } from '../known-names.ts';
import type { Streams } from '../streams.ts';

/** The names of units and templates in the registry. */
export async function unitNames(flags: ConfigFlags, streams: Streams): Promise<readonly string[]> {
  const { ownConfig } = await import('../own-config.ts');
  const config = await ownConfig(flags, streams);
  return (await readNames(config, streams, 'units', (view) => view.unitNames)) ?? [];
}

/** The machines of the cluster, or of fleet.conf alone if the registry cannot be read. */
export async function machineNames(flags: ConfigFlags, streams: Streams): Promise<KnownNames['machines']> {
  const [{ loadConfig }, { clusterMachines }] = await Promise.all([
    import('../../config/load.ts'),
    import('../../registry/inventory.ts'),
  ]);
  const { env, cwd, home } = streams;
  const config = await loadConfig({ flags, env, cwd, home });
  const proposed = config.machines.map(({ machine }) => machine);
  const names = readNames(config, streams, 'machines', (view) => clusterMachines(view, proposed));
  const machines = await names.catch((error) => {
    if (!isFleetError(error)) throw error;
  });
  return machines ?? proposed;
}

/** Names in the registry; of one that is reached over SSH those that a command has read, undefined without any. */
async function readNames<K extends keyof KnownNames>(
  config: Config,
  streams: Streams,
  kind: K,
  namesIn: (view: RegistryView) => KnownNames[K],
): Promise<KnownNames[K] | undefined> {
  const [{ reachOf, openRegistry }, { namesKept }] = await Promise.all([
    import('../registry.ts'),
    import('../known-names.ts'),
  ]);
  if (reachOf(config) === 'over ssh') return namesKept(config, streams)?.[kind];
  const { registry } = await openRegistry(config, streams);
  try {
    return await registry.read(namesIn);
  } finally {
    await registry.close();
  }
}
