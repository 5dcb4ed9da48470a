import { FleetError } from '../../base/errors.ts';
import { formatAddress, parseAddress } from '../../config/address.ts';
import type { ConfigRequest, MachineConfig, SshConfig } from '../../config/config.ts';
import { writtenValue } from '../../config/edit.ts';
import { createConfig } from '../../config/edit-file.ts';
import { findConfig, newConfigPath } from '../../config/load.ts';
import { parseSections } from '../../config/parse.ts';
import { readConfig, readHost } from '../../config/read.ts';
import { overrideSection } from '../../config/section.ts';
import type { MachineId } from '../../machine/machine.ts';
import { clusterMachines } from '../../registry/inventory.ts';
import type { RegistryView } from '../../registry/view.ts';
import { observeQuery } from '../../systemd/observation.ts';
import { registerQuery } from '../../systemd/register.ts';
import { createSshDriver } from '../../systemd/ssh-driver.ts';
import { accessTo, transportFor } from '../access.ts';
import { type Call, printInfo } from '../command.ts';
import { withConfig } from '../context.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { refuseController } from '../own-config.ts';
import { sshTarget } from '../ssh-targets.ts';
import { storedRegistry, WHOLE_REGISTRY } from '../stored-registry.ts';
import type { Streams } from '../streams.ts';

/** A machine that has the registry, its id, and how it was reached. */
type Contact = { readonly view: RegistryView; readonly id: MachineId; readonly machine: MachineConfig };

/** Writes a fleet.conf for the cluster of a machine, `[USER@]ADDRESS`, after the registry was read from its voters. */
export async function join(call: Call, text: string): Promise<ExitStatus> {
  const { flags, options, streams } = call;
  refuseController(flags, streams);
  const request: ConfigRequest = { flags, ...streams };
  const path = newConfigPath(request);
  if (path === undefined) throw exists(findConfig(request).path);
  const { config: ssh, machine } = readHost(text, request, 'ADDRESS');
  const contact = await firstContact(machine, ssh, text, streams);
  const user = /^(.+)@/.exec(text)?.[1];
  const confOf = (view: RegistryView): string => joinedConf({ ...contact, view }, user, request);
  const config = readConfig(path, parseSections(path, confOf(contact.view)), request);
  // The machine may have an older state than a majority of the voters.
  const view = await withConfig(config, streams, ({ registry }) => registry.load(), {
    onDifference: () => undefined,
  });
  const conf = confOf(view);
  if (options.dryRun === true) {
    streams.out(conf);
    return EXIT.done;
  }
  await createConfig(path, conf);
  const machines = clusterMachines(view, []).length;
  printInfo(streams, [
    `Joined cluster ${view.clusterId}: machines ${machines}, units ${view.unitNames.length}`,
    `Wrote ${path}`,
  ]);
  return EXIT.done;
}

/** Reads what the machine has stored. Throws FleetError `registry-unavailable` if that is no registry with its contents. */
async function firstContact(
  machine: MachineConfig,
  ssh: SshConfig,
  text: string,
  streams: Streams,
): Promise<Contact> {
  const target = sshTarget(machine, ssh, streams);
  const [access] = (await accessTo({ ...ssh, machines: [target] }, streams)).values();
  if (access === undefined) throw new TypeError('a target has an access');
  const transport = transportFor(ssh, streams);
  const driver = createSshDriver(transport, { access: () => access, settleMs: 0 });
  try {
    // Before any time is measured: a person may be asked about a host key.
    await transport.login(target.ssh);
    const session = driver.connect({ ...machine.machine, metadata: {} });
    const answer = await session.ask(registerQuery(WHOLE_REGISTRY));
    const view = storedRegistry(answer);
    if (view === undefined) throw noRegistry(text, answer.owner);
    if (clusterMachines(view, []).length === 0) throw noAddresses(text);
    const { id } = await session.ask(observeQuery({ names: [], digests: false }));
    session.close();
    return { view, id, machine };
  } finally {
    await driver.close();
  }
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

function noRegistry(text: string, owner: string | undefined): FleetError {
  const [what, hint] =
    owner === undefined
      ? ['has no registry', 'Only a cluster with "registry = machines" can be joined; check the address']
      : [
          `belongs to cluster ${owner}, but does not have its registry`,
          'Name one of its voters; on a computer of that cluster, "fleetctl registry" lists them. A registry in a folder or in etcd cannot be joined: copy its fleet.conf',
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
