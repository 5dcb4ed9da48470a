import { fieldSentences } from '../../output/field.ts';
import { VOTERS } from '../../output/listings.ts';
import { type Command, printJson } from '../command.ts';
import { EXIT, recoverStatus } from '../exit-status.ts';
import { tableOf } from '../list-command.ts';
import { DRY_RUN, OUTPUT, TABLE_OUTPUT } from '../options.ts';
import { writeLines } from '../streams.ts';
import { runChange } from '../unit-command.ts';

const copyCommand: Command = {
  name: 'copy',
  arguments: '<from> <to>',
  summary: 'Copy the registry to another store',
  description:
    'A store is written like the value of "registry" in fleet.conf (`fleetctl help operators`); the etcd_… keys of fleet.conf apply to both. The target must be empty (on machines: none has a registry), and the copy is read back and compared. Do not change the registry meanwhile. Units keep running. To move the cluster to the copy, write the new store into every fleet.conf and move the old registry away; a backup needs neither.',
  options: [],
  examples: [
    ['fleetctl registry copy file:registry machines', 'keep it on the machines, for every operator'],
    ['fleetctl registry copy file:registry etcd://10.0.0.1:2379/fleet', 'keep it in etcd'],
    ['fleetctl registry copy etcd://10.0.0.1:2379/fleet file:backup', 'back it up into a folder'],
  ],
  async run({ arguments: [from = '', to = ''], flags, streams }) {
    const { withStores } = await import('../registry.ts');
    const { copyRegistry } = await import('../../operations/copy-registry.ts');
    return withStores([from, to], { flags, streams }, async (source, target) => {
      const { clusterId, units, records } = await copyRegistry(source.store, target.store);
      const done = `Copied cluster ${clusterId} to ${target.text}: units ${units}, records ${records}`;
      writeLines(streams.out, [done]);
      if (target.isInUse) return EXIT.done;
      const old =
        source.text === 'machines'
          ? '/var/lib/fleet/registry and /var/lib/fleet/voters on the machines'
          : 'the old registry';
      writeLines(streams.err, [
        `hint: A backup needs nothing else. To move the cluster there, write "registry = ${target.text}" into every fleet.conf of this cluster, and move ${old} away`,
      ]);
      return EXIT.done;
    });
  },
};

export const registryCommand: Command = {
  name: 'registry',
  arguments: '',
  summary: 'Show where the registry is and the state of its voters',
  topic: 'operators',
  description: `Shows the location and the revision of the registry and, with "registry = machines", the machines that store it. ${fieldSentences(VOTERS)} To move the registry, copy it and change the key "registry" of every fleet.conf.`,
  options: [{ flags: '--no-legend', description: 'omit the header line' }, TABLE_OUTPUT],
  examples: [['fleetctl registry', 'the revision and the voters'], ...copyCommand.examples],
  subcommands: [copyCommand],
  async run(call) {
    const { describeRegistry } = await import('../registry.ts');
    const { registryJson, registryLine, voterWarnings } = await import('../../output/registry.ts');
    const { options, streams } = call;
    const status = await describeRegistry(call);
    writeLines(streams.err, voterWarnings(status));
    if (options.output === 'json') await printJson(streams, registryJson(status));
    else {
      writeLines(streams.out, [registryLine(status)]);
      if (status.voters.length > 0) streams.out(await (await tableOf(VOTERS, options))(status.voters));
    }
    if (status.withoutMajority !== undefined) throw status.withoutMajority;
    return EXIT.done;
  },
};

export const recoverCommand: Command = {
  name: 'recover',
  arguments: '',
  summary: 'Rebuild a lost registry from the machines',
  topic: 'backup',
  description:
    'Reads unit files, target states and the cluster id from all machines of fleet.conf and stores them in the registry, which must be empty. Machines are not changed, and units keep running. Where machines differ, the latest decision applies and the others are reported. A unit that no second machine confirms is stored as inactive and unconfirmed, and is left unchanged until it is accepted, in this call or later. Templates, and units that were on no machine, cannot be recovered. With "registry = machines", if only a minority of the voters can be read, the registry is rebuilt from its newest state instead, after a confirmation: the command shows what may be missing. Do this only if the other voters are lost permanently.',
  options: [
    {
      flags: '--accept <units>',
      description: 'accept these units although no second machine confirms them; names or globs',
      repeatable: true,
    },
    {
      flags: '--reject <units>',
      description: 'discard these recovered units: the next pass removes them from their machines',
      repeatable: true,
    },
    {
      flags: '--trust <machines>',
      description: 'accept the units of these machines without a second machine',
      repeatable: true,
    },
    { ...DRY_RUN, description: 'show what can be recovered and store nothing' },
    {
      flags: '--yes',
      description: 'rebuild the registry without the majority of its voters, and do not ask',
    },
    OUTPUT,
  ],
  examples: [
    ['fleetctl recover --dry-run', 'show the recoverable units'],
    ['fleetctl recover', 'store them; then check: fleetctl reconcile --dry-run'],
    ['fleetctl recover --trust web-1,web-2', 'accept the units of two machines'],
    ['fleetctl recover --yes', 'continue without voters that are lost permanently'],
    ["fleetctl recover --accept 'web@*' --reject evil", 'accept and discard single units'],
  ],
  async run(call) {
    const rebuilt = await (await import('../recover-voters.ts')).recoverVoters(call);
    if (rebuilt !== undefined) return rebuilt;
    const { recover } = await import('../../operations/recover.ts');
    const { recoverJson, recoverReport } = await import('../../output/registry.ts');
    const { accept, reject, trust } = call.options;
    const request = { accept: listOf(accept), reject: listOf(reject), trust: listOf(trust) };
    return runChange(
      call,
      (ports) => recover(ports, request),
      (result, dryRun) => ({
        report: recoverReport(result, dryRun),
        json: () => recoverJson(result, dryRun),
        status: recoverStatus(result),
      }),
    );
  },
};

function listOf(value: string | boolean | undefined): readonly string[] {
  return typeof value === 'string' ? value.split(',').filter((word) => word !== '') : [];
}
