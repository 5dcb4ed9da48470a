import { FleetError } from '../../base/errors.ts';
import type { Command } from '../command.ts';
import { EXIT } from '../exit-status.ts';
import { writeLines } from '../streams.ts';

export const registryCommand: Command = {
  name: 'registry',
  arguments: '<copy> <from> <to>',
  summary: 'Copy the registry to another place: to etcd, or back into a folder',
  description:
    'Places are written as "registry" in fleet.conf: file:PATH, or etcd://HOST:PORT,HOST:PORT/PREFIX (etcds:// with TLS); the etcd_… keys of fleet.conf go with both. The copy is read back. Nothing may be at the place it goes to, and nobody should work with the registry meanwhile. No machine is contacted, and units run on. Afterwards the new place has to be written into every fleet.conf, and the old registry moved away.',
  options: [],
  examples: [
    ['fleetctl registry copy file:registry etcd://10.0.0.1:2379/fleet', 'share it between operators'],
    ['fleetctl registry copy etcd://10.0.0.1:2379/fleet file:backup', 'a copy that can be read with less'],
  ],
  async run({ arguments: [action = '', from = '', to = ''], flags, streams }) {
    if (action !== 'copy') {
      throw new FleetError('usage', `Cannot "${action}" a registry`, {
        hint: 'fleetctl registry copy FROM TO',
      });
    }
    const [{ withStores }, { copyRegistry }, { copyReport }] = await Promise.all([
      import('../registry-stores.ts'),
      import('../../operations/copy-registry.ts'),
      import('../../output/copy.ts'),
    ]);
    const { copied, target } = await withStores(
      [from, to],
      flags,
      streams,
      async ([source, destination]) => ({
        copied: await copyRegistry(source.store, destination.store),
        target: destination.text,
      }),
    );
    const { out, err } = copyReport(copied, target);
    writeLines(streams.out, out);
    writeLines(streams.err, err);
    return EXIT.done;
  },
};
