import { formatMachineId } from '../machine/machine-id.ts';
import type { Accepted } from '../operations/trust-machine.ts';
import { quote } from '../ssh/shell.ts';

/** What stays on a machine that left fleet.conf, and how to take it away there. */
export function leftBehindLines(name: string, units: readonly string[]): readonly string[] {
  if (units.length === 0)
    return [
      `hint: What fleet keeps on machine "${name}" stays in /var/lib/fleet there; to end that, run there: ${FORGET}`,
    ];
  const names = units.map(quote);
  const files = names.map((unit) => `${unit} fleet.target.wants/${unit}`).join(' ');
  return [
    `Warning: global units stay on machine "${name}" and run on: ${units.join(' ')}`,
    `hint: To end that, run there: systemctl stop ${names.join(' ')}; cd /etc/systemd/system && rm -f ${files} && ${FORGET} && systemctl daemon-reload`,
  ];
}

/** Takes away what fleet keeps on a machine, and not a registry that may be in the same folder. */
const FORGET = '(cd /var/lib/fleet && rm -rf cluster units removed reload tmp)';

/** What becomes of the units that were assigned to a machine when it was removed. */
export function movingLines(units: readonly string[]): readonly string[] {
  if (units.length === 0) return [];
  return [
    `hint: Units that were assigned to it move with the next pass (fleetctl reconcile): ${units.join(' ')}`,
  ];
}

export function acceptedLine(name: string, { id, before, renamedFrom, isNews }: Accepted): string {
  if (!isNews) return `Nothing to accept: machine ${name} has id ${formatMachineId(id)}, as before`;
  const was = before === undefined ? '' : `, and had ${formatMachineId(before)}`;
  const renamed = renamedFrom.length === 0 ? '' : `, and was called ${renamedFrom.join(', ')}`;
  return `Machine ${name} accepted: it has id ${formatMachineId(id)}${was}${renamed}`;
}

/** What an exclusion means for the units that are assigned to the machine. */
export function distrustedLines(
  name: string,
  units: readonly string[],
): { readonly out: readonly string[]; readonly err: readonly string[] } {
  const out = [`Machine ${name} excluded, until: fleetctl machines accept ${name}`];
  if (units.length === 0) return { out, err: [] };
  return {
    out,
    err: [
      `Warning: these units stay assigned to it: ${units.join(' ')}`,
      `hint: To move them, switch the machine off, take it out of fleet.conf, and run: fleetctl machines remove ${name}`,
    ],
  };
}
