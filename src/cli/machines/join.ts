import { FleetError } from '../../base/errors.ts';
import { formatAddress, parseAddress } from '../../config/address.ts';
import type { ConfigRequest } from '../../config/config.ts';
import { writtenValue } from '../../config/edit.ts';
import { createConfig } from '../../config/edit-file.ts';
import { findConfig, newConfigPath } from '../../config/load.ts';
import { parseSections } from '../../config/parse.ts';
import { readConfig, readHost } from '../../config/read.ts';
import { overrideSection } from '../../config/section.ts';
import { clusterMachines } from '../../registry/inventory.ts';
import type { RegistryView } from '../../registry/view.ts';
import { type Call, printInfo } from '../command.ts';
import { withConfig } from '../context.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { refuseController } from '../own-config.ts';
import { type Contact, firstContact } from './contact.ts';

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
