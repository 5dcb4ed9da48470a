import type { Command } from '../command.ts';
import { EXIT } from '../exit-status.ts';
import { writeLines } from '../streams.ts';

const copyCommand: Command = {
  name: 'copy',
  arguments: '<from> <to>',
  summary: 'Copy the registry to another store',
  description:
    'A store is written as in the key "registry" of fleet.conf: file:PATH, or etcd://HOST:PORT,HOST:PORT/PREFIX (etcds:// with TLS); the etcd_… keys of fleet.conf apply to both. The target must be empty, and the copy is read back and compared. Do not change the registry meanwhile. No machine is contacted, and units keep running. Afterwards, write the new store into every fleet.conf and move the old registry away.',
  options: [],
  examples: [
    ['fleetctl registry copy file:registry etcd://10.0.0.1:2379/fleet', 'share it between operators'],
    ['fleetctl registry copy etcd://10.0.0.1:2379/fleet file:backup', 'back it up into a folder'],
  ],
  async run({ arguments: [from = '', to = ''], flags, streams }) {
    const [{ withStores }, { copyRegistry }] = await Promise.all([
      import('../registry-stores.ts'),
      import('../../operations/copy-registry.ts'),
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
    const { clusterId, units, records } = copied;
    writeLines(streams.out, [`Copied cluster ${clusterId} to ${target}: units ${units}, records ${records}`]);
    writeLines(streams.err, [
      `hint: Write "registry = ${target}" into every fleet.conf of this cluster, and move the old registry away`,
    ]);
    return EXIT.done;
  },
};

export const registryCommand: Command = {
  name: 'registry',
  arguments: '',
  summary: 'Copy the registry to another store',
  description: 'To move the registry, copy it and change the key "registry" of every fleet.conf.',
  options: [],
  examples: copyCommand.examples,
  subcommands: [copyCommand],
};
