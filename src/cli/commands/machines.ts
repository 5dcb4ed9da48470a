import { type Command, printAnswer, printInfo, printReport } from '../command.ts';
import { EXIT } from '../exit-status.ts';
import { DRY_RUN, OUTPUT } from '../options.ts';

const NO_CHECK = { flags: '--no-check', description: 'do not check the machine first' };

/** The options of `add` with their keys of fleet.conf, in the order in which they are written. */
const SETTINGS = [
  ['metadata', '--metadata <pairs>', 'metadata for the placement of units: region=eu,disk=ssd'],
  ['user', '--user <user>', 'user to log in as'],
  ['port', '--port <port>', 'port of its SSH server'],
  ['identity_file', '--identity-file <file>', 'private key'],
  ['become', '--become <how>', 'method to get root rights: sudo, doas or none'],
] as const;

const addCommand: Command = {
  name: 'add',
  arguments: '<name> <address>',
  summary: 'Add a machine to the cluster',
  description:
    'Runs the checks of doctor on the machine and, if all succeed, stores it in the registry and appends it to fleet.conf. If there is no fleet.conf, it is created.',
  options: [...SETTINGS.map(([, flags, description]) => ({ flags, description })), NO_CHECK],
  examples: [
    ['fleetctl machines add web-3 10.10.1.3', 'with settings from [ssh]'],
    ['fleetctl machines add db-1 db.example:2222 --user core --metadata disk=ssd', 'with its own settings'],
  ],
  async run(call) {
    const [name = '', address = ''] = call.arguments;
    const given = SETTINGS.flatMap(([key]): readonly (readonly [string, string])[] => {
      const value = call.options[optionName(key)];
      return typeof value === 'string' ? [[key, value]] : [];
    });
    const { add } = await import('../machines/change.ts');
    return add(call, [name, address], given);
  },
};

const setCommand: Command = {
  name: 'set',
  arguments: '<machine> <key=value...>',
  summary: 'Change settings of a machine',
  description:
    'Keys are those of a [machine.NAME] section; "key=" removes one. "metadata+=" adds pairs to the metadata or replaces their values, "metadata-=" removes keys. The address and the metadata are stored in the registry and in fleet.conf, all other settings in fleet.conf. Unless only its metadata changes, the machine is checked first, with the checks of doctor.',
  options: [NO_CHECK],
  examples: [
    ['fleetctl machines set web-3 metadata+=role=web', 'add to its metadata'],
    ['fleetctl machines set web-3 metadata-=role,disk', 'remove from its metadata'],
    ['fleetctl machines set web-3 metadata=region=eu,disk=ssd', 'replace its metadata'],
    ['fleetctl machines set web-3 address=10.10.1.9 user=', 'new address, user from [ssh]'],
    ['fleetctl machines set web-3 connect_to=100.64.0.3', 'this computer reaches it through a VPN'],
  ],
  async run(call) {
    const [name = '', ...words] = call.arguments;
    const { set } = await import('../machines/change.ts');
    return set(call, name, words);
  },
};

const renameCommand: Command = {
  name: 'rename',
  arguments: '<machine> <name>',
  summary: 'Give a machine another name',
  description:
    'Its units stay on it and keep running, because they belong to its machine id. The section in fleet.conf is renamed, too. In the fleet.conf of another operator, the section with the old name keeps its settings for the connection.',
  options: [],
  examples: [['fleetctl machines rename web-3 frontend-3', 'in the registry and in fleet.conf']],
  async run(call) {
    const [name = '', to = ''] = call.arguments;
    const { rename } = await import('../machines/change.ts');
    return rename(call, name, to);
  },
};

const applyCommand: Command = {
  name: 'apply',
  arguments: '[machine...]',
  summary: 'Store the machines as fleet.conf describes them',
  topic: 'inventory',
  description:
    'The registry decides about addresses and metadata, and a fleet.conf that differs changes nothing by itself. This command stores its addresses and metadata, and the machines that only fleet.conf has. A machine that was removed from the cluster is added again only if it is named. Machines that fleet.conf does not have stay.',
  options: [DRY_RUN, OUTPUT],
  examples: [
    ['fleetctl machines apply --dry-run', 'show the differences'],
    ['fleetctl machines apply web-1', 'store the section of one machine'],
  ],
  async run(call) {
    const { withPorts } = await import('../context.ts');
    const { applyMachines } = await import('../../operations/machine-changes.ts');
    const { appliedJson, appliedReport } = await import('../../output/inventory.ts');
    const dryRun = call.options.dryRun === true;
    const options = { dryRun, onDifference: () => undefined };
    const applied = await withPorts(call, (ports) => applyMachines(ports, call.arguments), options);
    const report = appliedReport(applied, dryRun, call.arguments);
    await printAnswer(call, report, () => appliedJson(applied), !dryRun);
    return EXIT.done;
  },
};

const removeCommand: Command = {
  name: 'remove',
  arguments: '<machine>',
  summary: 'Remove a machine from the cluster',
  description:
    'Removes it from the registry and from fleet.conf. Only this command removes a machine: one that a fleet.conf does not have stays in the cluster. The command is refused while units are assigned to the machine, unless --drain or --lost is given. A voter of the registry is replaced first, and stays while no other machine can replace it. Other files of fleet stay on the machine, and the command lists them.',
  options: [
    {
      flags: '--drain',
      description: 'move its units to other machines first, and remove global units',
    },
    {
      flags: '--lost',
      description: 'the machine will never run again: its units move with the next pass',
    },
  ],
  examples: [
    ['fleetctl machines remove web-3', 'a machine without units'],
    ['fleetctl machines remove web-3 --drain', 'move its units first'],
    ['fleetctl machines remove web-3 --lost', 'after its hardware is gone'],
  ],
  async run(call) {
    const [name = ''] = call.arguments;
    const { remove } = await import('../machines/remove.ts');
    return remove(call, name);
  },
};

const acceptCommand: Command = {
  name: 'accept',
  arguments: '<machine>',
  summary: 'Accept a machine with its current id',
  description:
    'The registry keeps the machine id of every name. A machine whose id changes, or that has the id of another machine, is not used until it is accepted. The next pass moves units that are assigned to an id that no machine has any more.',
  options: [],
  examples: [['fleetctl machines accept web-3', 'after a reinstallation, a rename or a repair']],
  async run({ arguments: [name = ''], flags, streams }) {
    const { withPorts } = await import('../context.ts');
    const { acceptMachine } = await import('../../operations/machine-membership.ts');
    const { acceptedLine } = await import('../../output/machines.ts');
    const options = { guard: false, changes: true };
    const accepted = await withPorts({ flags, streams }, (ports) => acceptMachine(ports, name), options);
    printInfo(streams, [acceptedLine(name, accepted)]);
    return EXIT.done;
  },
};

const distrustCommand: Command = {
  name: 'distrust',
  arguments: '<machine>',
  summary: 'Exclude a machine that reports wrong state',
  description:
    'fleetctl and fleetd do not use the machine until it is accepted again. Its units keep running and stay assigned to it.',
  options: [],
  examples: [['fleetctl machines distrust web-3', 'if it contradicts the registry']],
  async run({ arguments: [name = ''], flags, streams }) {
    const { withPorts } = await import('../context.ts');
    const { distrustMachine } = await import('../../operations/machine-membership.ts');
    const { distrustedLines } = await import('../../output/machines.ts');
    const options = { guard: false, changes: true };
    const units = await withPorts({ flags, streams }, (ports) => distrustMachine(ports, name), options);
    printReport(streams, distrustedLines(name, units));
    return EXIT.done;
  },
};

const SUBCOMMANDS = [
  addCommand,
  setCommand,
  renameCommand,
  applyCommand,
  removeCommand,
  acceptCommand,
  distrustCommand,
];

export const machinesCommand: Command = {
  name: 'machines',
  arguments: '',
  summary: 'Add, change, rename, remove, accept or exclude machines',
  topic: 'inventory',
  description:
    'The registry has the machines of the cluster with their addresses and metadata; fleet.conf says how this computer reaches them, and proposes new ones. fleet.conf is edited in place: comments, order and line ends are kept. It is written only if it then has exactly the intended settings. To list machines, use list-machines.',
  options: [],
  examples: SUBCOMMANDS.flatMap(({ examples }) => examples),
  subcommands: SUBCOMMANDS,
};

/** `identity_file` → identityFile, as commander calls the option. */
function optionName(key: string): string {
  return key.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}
