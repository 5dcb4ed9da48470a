import { FleetError, isFleetError } from '../../base/errors.ts';
import { formatAddress, parseAddress } from '../../config/address.ts';
import type { ConfigRequest, MachineConfig, SshConfig } from '../../config/config.ts';
import { writtenValue } from '../../config/edit.ts';
import { createConfig } from '../../config/edit-file.ts';
import { findConfig, newConfigPath } from '../../config/load.ts';
import { parseSections } from '../../config/parse.ts';
import { readConfig, readHost, unlistedMachine } from '../../config/read.ts';
import { overrideSection } from '../../config/section.ts';
import type { MachineId } from '../../machine/machine.ts';
import { causesOf } from '../../quorum/failures.ts';
import { clusterMachines } from '../../registry/inventory.ts';
import type { RegistryView } from '../../registry/view.ts';
import type { MachineSession } from '../../systemd/driver.ts';
import { observeQuery } from '../../systemd/observation.ts';
import { type VoterPlace, voterPlacesQuery } from '../../systemd/queries.ts';
import { registerQuery } from '../../systemd/register.ts';
import { createSshDriver } from '../../systemd/ssh-driver.ts';
import { accessToOne, transportFor } from '../access.ts';
import { type Call, printInfo } from '../command.ts';
import { withConfig } from '../context.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { storedRegistry, WHOLE_REGISTRY } from '../machines-store.ts';
import { refuseController } from '../own-config.ts';
import type { Streams } from '../streams.ts';
import { placesText } from '../voter-rules.ts';

/**
 * Writes a fleet.conf for the cluster of a machine, `[USER@]ADDRESS`, after the registry was read from its voters. A dry run
 * prints it, also if there is one already.
 */
export async function join(call: Call, text: string): Promise<ExitStatus> {
  const { flags, options, streams } = call;
  refuseController(flags, streams);
  const request: ConfigRequest = { flags, ...streams };
  const dryRun = options.dryRun === true;
  const path = newConfigPath(request);
  if (path === undefined && !dryRun) throw exists(findConfig(request).path);
  const { config: ssh, machine } = readHost(text, request, 'ADDRESS');
  const contact = await firstContact({ text, machine, ssh, streams });
  const user = /^(.+)@/.exec(text)?.[1];
  const confOf = (view: RegistryView): string => joinedConf({ ...contact, view }, user, request);
  const place = path ?? findConfig(request).path;
  const config = readConfig(place, parseSections(place, confOf(contact.view)), request);
  // One machine may have an older state than a majority of the voters.
  const view = await withConfig(config, streams, ({ registry }) => registry.load(), {
    onDifference: () => undefined,
  });
  const conf = confOf(view);
  if (dryRun) {
    streams.out(conf);
    return EXIT.done;
  }
  await createConfig(place, conf);
  const machines = clusterMachines(view, []).length;
  printInfo(streams, [
    `Joined cluster ${view.clusterId}: machines ${machines}, units ${view.unitNames.length}`,
    `Wrote ${place}`,
  ]);
  return EXIT.done;
}

/** The fleet.conf: the settings that led to the first machine, and all machines of the registry. */
function joinedConf(
  { view, id, machine }: Contact,
  user: string | undefined,
  request: ConfigRequest,
): string {
  const given = parseAddress(machine.machine.address);
  const { override } = readHost(machine.machine.address, request, 'ADDRESS').config;
  const options = [...overrideSection(request.flags, request.env).settings.values()].map(
    ({ key, value }): readonly [string, string] => {
      // Paths are absolute.
      const read = override[key as keyof typeof override];
      return [key, typeof read === 'string' ? read : value];
    },
  );
  const ssh = new Map([...(user === undefined ? [] : [['user', user] as const]), ...options]);
  const sections = clusterMachines(view, []).map(({ name, address }) => {
    const shared = parseAddress(address);
    const isContact = view.machines.get(name)?.id === id && given !== undefined;
    const isSame = shared?.host === given?.host && [undefined, shared?.port].includes(given?.port);
    const settings = new Map([['address', address]]);
    if (isContact && !isSame) settings.set('connect_to', formatAddress(given));
    return sectionText(`[machine.${name}]`, settings);
  });
  const parts = ['registry = machines\n', sectionText('[ssh]', ssh), ...sections];
  return parts.filter((part) => part !== '').join('\n');
}

function sectionText(header: string, settings: ReadonlyMap<string, string>): string {
  if (settings.size === 0) return '';
  const lines = [...settings].map(([key, value]) => `${key} = ${writtenValue(value)}\n`);
  return [`${header}\n`, ...lines].join('');
}

function exists(path: string): FleetError {
  return new FleetError('usage', `There is a configuration already: ${path}`, {
    hint: 'To write another one: fleetctl join --config FILE ADDRESS',
  });
}

/** The machine that the user named, its id, and the registry of its cluster. */
type Contact = {
  readonly view: RegistryView;
  readonly id: MachineId;
  readonly machine: MachineConfig;
};

/** The machine that the user named with `text`. */
type NamedMachine = {
  readonly text: string;
  readonly machine: MachineConfig;
  readonly ssh: SshConfig;
  readonly streams: Streams;
};

/** The registry that the machine has, or one of the voters that it names. Throws FleetError `registry-unavailable` without one. */
async function firstContact(named: NamedMachine): Promise<Contact> {
  const { text, machine } = named;
  const { id, owner, own, voters } = await askMachine(named, async (session) => {
    const answer = await session.ask(registerQuery(WHOLE_REGISTRY));
    const view = storedRegistry(answer);
    const places = view === undefined ? await session.ask(voterPlacesQuery()) : [];
    const { id } = await session.ask(observeQuery({ names: [], digests: false }));
    return { id, owner: answer.owner, own: view, voters: places };
  });
  if (own === undefined && (owner === undefined || voters.length === 0)) throw noRegistry(text, owner);
  // A machine can name anything, but the registry of its cluster has it, too.
  const isOfCluster = (view: RegistryView): boolean =>
    view.clusterId === owner && [...view.machines.values()].some((known) => known.id === id);
  const view = own ?? (await registryOf(voters, named, isOfCluster));
  if (clusterMachines(view, []).length === 0) throw noAddresses(text);
  return { view, id, machine };
}

/**
 * The registry of the first of the voters that a machine named which has it. They are reached as the same user, and their host
 * keys are verified like any other. Throws FleetError `registry-unavailable` with the cause for each voter.
 */
async function registryOf(
  voters: readonly VoterPlace[],
  named: NamedMachine,
  isOfCluster: (view: RegistryView) => boolean,
): Promise<RegistryView> {
  const { user } = named.machine.settings;
  const failures = new Map<string, FleetError>();
  for (const { name, address } of voters) {
    const voter = unlistedMachine(user === undefined ? address : `${user}@${address}`, named.ssh, 'ADDRESS');
    const machine = { ...voter, machine: { ...voter.machine, name } };
    try {
      const view = await askMachine({ ...named, machine }, async (session) =>
        storedRegistry(await session.ask(registerQuery(WHOLE_REGISTRY))),
      );
      if (view !== undefined && isOfCluster(view)) return view;
      const what = view === undefined ? 'has no registry' : 'has the registry of another cluster';
      throw new FleetError('registry-unavailable', `Machine "${name}" (${address}) ${what}`);
    } catch (error) {
      if (!isFleetError(error)) throw error;
      failures.set(name, error);
    }
  }
  const names = voters.map(({ name }) => name);
  const { clauses, hint } = causesOf(names, failures, 'these voters do not answer');
  throw new FleetError(
    'registry-unavailable',
    `Cannot join the cluster of "${named.text}": the machine is no voter of its registry; ${clauses.join('; ')}`,
    {
      hint:
        hint ??
        `It names these voters, which may have changed: ${placesText(voters)}. Name another machine of the cluster`,
    },
  );
}

/** Runs `work` in a session with a machine, over a separate connection. */
async function askMachine<T>(
  { machine, ssh, streams }: NamedMachine,
  work: (session: MachineSession) => Promise<T>,
): Promise<T> {
  const access = await accessToOne(machine, ssh, streams);
  const transport = transportFor(ssh, streams);
  const driver = createSshDriver(transport, { access: () => access, settleMs: 0 });
  try {
    // Before any time is measured: a person may be asked about a host key.
    await transport.login(access.ssh);
    const session = driver.connect({ ...machine.machine, metadata: {} });
    const result = await work(session);
    session.close();
    return result;
  } finally {
    await driver.close();
  }
}

function noRegistry(text: string, owner: string | undefined): FleetError {
  const [what, hint] =
    owner === undefined
      ? [
          'has no registry',
          'Check the address, or name another machine of the cluster: a voter, or a machine on which fleet has changed a unit. Only a cluster with "registry = machines" can be joined',
        ]
      : [
          `belongs to cluster ${owner}, but neither has its registry nor knows its voters`,
          'Name another machine of the cluster; on a computer of that cluster, "fleetctl registry" lists the voters. A registry in a folder or in etcd cannot be joined: copy its fleet.conf',
        ];
  return new FleetError('registry-unavailable', `Cannot join the cluster of "${text}": the machine ${what}`, {
    hint,
  });
}

function noAddresses(text: string): FleetError {
  return new FleetError(
    'registry-unavailable',
    `Cannot join the cluster of "${text}": its registry has no addresses`,
    {
      hint: 'Store them on a computer of that cluster first: fleetctl machines apply',
    },
  );
}
