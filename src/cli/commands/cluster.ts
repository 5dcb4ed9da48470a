import { fieldSentences } from '../../output/field.ts';
import { VOTERS } from '../../output/listings.ts';
import { type Command, printJson } from '../command.ts';
import { EXIT, passStatus, recoverStatus } from '../exit-status.ts';
import { DRY_RUN, OUTPUT, TABLE_OUTPUT } from '../options.ts';
import { writeLines } from '../streams.ts';
import { runChange } from '../unit-command.ts';
import { tableOf } from './lists.ts';

export const joinCommand: Command = {
  name: 'join',
  arguments: '<address>',
  summary: 'Write a fleet.conf for the cluster of a machine',
  topic: 'operators',
  description:
    'Contacts one machine, as HOST, USER@HOST or USER@HOST:PORT, verifies its host key, and reads the registry of its cluster from the voters. Then it writes a fleet.conf with all machines and the given options for SSH. An existing fleet.conf is never replaced. The cluster must have "registry = machines". Name any machine that fleet has changed at least once. A machine that is no voter names the voters, whose host keys are verified too. Nothing is changed on machines.',
  options: [{ ...DRY_RUN, description: 'print the fleet.conf and write nothing' }],
  examples: [
    ['fleetctl join core@10.10.1.1', 'write fleet.conf in this folder'],
    ['fleetctl join --config ~/.config/fleet/fleet.conf core@10.10.1.1', 'write another file'],
    ['fleetctl join --dry-run core@10.10.1.1:2222', 'print it'],
  ],
  async run(call) {
    const [address = ''] = call.arguments;
    const { join } = await import('../machines/join.ts');
    return join(call, address);
  },
};

export const reconcileCommand: Command = {
  name: 'reconcile',
  arguments: '',
  summary: 'Apply the target states to all units once',
  topic: 'states',
  description:
    'Runs one pass over all units and machines, for cron or after repairs. Units move away from machines that have been unreachable for longer than agent_ttl. Units that were stopped, or whose files were edited on a machine, are restored. Copies on wrong machines, or of units that are not in the registry, are removed. Missing global units are added. Voters of the registry are replaced if necessary; --dry-run does not show this. The exit status is 5 only if a unit cannot leave an unreachable machine.',
  options: [DRY_RUN, OUTPUT],
  examples: [
    ['fleetctl reconcile', 'run one pass'],
    ['fleetctl reconcile --dry-run', 'show differences and change nothing'],
    ['fleetctl reconcile -o json', 'moves, changes, failures and unreachable machines as JSON'],
  ],
  async run(call) {
    const { reconcileEverything } = await import('../../operations/reconcile-everything.ts');
    const { passJson, passReport } = await import('../../output/pass.ts');
    return runChange(call, reconcileEverything, (pass, dryRun) => ({
      report: passReport(pass, dryRun),
      json: () => passJson(pass),
      status: passStatus(pass),
    }));
  },
};

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
