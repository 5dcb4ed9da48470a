import { FleetError } from '../base/errors.ts';
import { type Machine, type MachineId, shortMachineId } from './machine.ts';

/** A machine with its id, if known. */
export type IdentifiedMachine = { readonly machine: Machine; readonly id: MachineId | undefined };

/**
 * The machines that `text` may mean: the one with that name in fleet.conf; else those with that address, with or without
 * the port; else those whose id begins with it, with or without dashes.
 */
export function matchMachines<M extends IdentifiedMachine>(
  text: string,
  machines: readonly M[],
): readonly M[] {
  const ways = [
    ({ machine }: M) => machine.name === text,
    ({ machine }: M) => isAddress(text, machine.address),
    ({ id }: M) => id !== undefined && isIdPrefix(text) && id.startsWith(digits(text)),
  ];
  for (const way of ways) {
    const found = machines.filter(way);
    if (found.length > 0) return found;
  }
  return [];
}

/**
 * The one machine that `text` means by {@link matchMachines}. Throws FleetError `machine-not-found`, and `usage`
 * when it may mean several.
 */
export function selectMachine<M extends IdentifiedMachine>(text: string, machines: readonly M[]): M {
  const found = matchMachines(text, machines);
  const [machine] = found;
  if (machine !== undefined && found.length === 1) return machine;
  if (found.length > 1) {
    const list = found.map(describeMachine).join(', ');
    throw new FleetError('usage', `"${text}" matches several machines: ${list}`, {
      hint: 'Give the name of the machine, or more digits of its id',
    });
  }
  throw new FleetError('machine-not-found', `No such machine: "${text}"`, {
    hint: 'Machines, with their names: fleetctl list-machines --fields machine,name,ip',
  });
}

/** True for what may be the beginning of a machine id: hex digits, with or without dashes. */
export function isIdPrefix(text: string): boolean {
  return /^[0-9a-f-]+$/i.test(text) && digits(text) !== '';
}

/** The label of a machine in a list: `m1 (148a18ff.../10.10.1.1)`. */
export function describeMachine({ machine, id }: IdentifiedMachine): string {
  return `${machine.name} (${id === undefined ? '' : `${shortMachineId(id)}/`}${machine.address})`;
}

function digits(text: string): string {
  return text.toLowerCase().replaceAll('-', '');
}

/** Host names are case-insensitive. */
function isAddress(text: string, address: string): boolean {
  const [, v6, name] = /^(?:\[(.+)\]|([^:]+)):\d+$/.exec(address) ?? [];
  return [address, v6, name].some((form) => form?.toLowerCase() === text.toLowerCase());
}
