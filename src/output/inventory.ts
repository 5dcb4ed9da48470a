import { formatTime } from '../base/time.ts';
import { formatMetadata, type Metadata } from '../machine/machine.ts';
import type { AppliedMachine } from '../operations/machine-changes.ts';
import type { InventoryDifference } from '../registry/inventory.ts';
import type { LogEntry } from './log.ts';
import type { ReportLines } from './report.ts';

/** A difference between fleet.conf and the registry, and what to do about it. */
export function differenceLines(difference: InventoryDifference): readonly string[] {
  const { name } = difference;
  switch (difference.kind) {
    case 'changed':
      return [
        `Note: machine "${name}" is used with the values of the registry: ${changeText(difference)}`,
        `hint: To store the values of fleet.conf: fleetctl machines apply ${name}; otherwise correct fleet.conf`,
      ];
    case 'removed': {
      const { at, by, renamedTo } = difference.removed;
      const when = `${formatTime(at)} by ${by}`;
      if (renamedTo !== undefined)
        return [
          `Note: section "${name}" of fleet.conf only has settings of the connection: the machine was renamed to "${renamedTo}" on ${when}`,
          `hint: Rename the section to [machine.${renamedTo}]`,
        ];
      return [
        `Note: machine "${name}" of fleet.conf is not used: it was removed on ${when}`,
        `hint: Remove its section; or, to add it again: fleetctl machines apply ${name}`,
      ];
    }
    case 'taken':
      return [
        `Note: machine "${name}" of fleet.conf is not used: machine "${difference.holder}" has its address, ${difference.address}`,
        `hint: If it is the same machine: fleetctl machines rename ${difference.holder} ${name}; otherwise correct fleet.conf`,
      ];
  }
}

/** The same in the log of a controller, when it starts. */
export function differenceEntry(difference: InventoryDifference): LogEntry {
  const [line = ''] = differenceLines(difference);
  const message = line.replace(/^Note: /, '');
  const { name: machine, kind } = difference;
  return { level: 'warning', event: 'machine-differs', message, fields: { machine, difference: kind } };
}

/** The machines that `machines apply` has stored, and those that it has not. `names` are those that the user named. */
export function appliedReport(
  applied: readonly AppliedMachine[],
  dryRun: boolean,
  names: readonly string[] = [],
): ReportLines {
  const be = dryRun ? 'would be ' : '';
  const out = applied.flatMap((each) => {
    if (each.kind === 'kept') return [];
    if (each.kind === 'changed') return [`Machine ${each.name} ${be}changed: ${becomesText(each)}`];
    const { address, metadata } = each.place;
    return [`Machine ${each.name} ${be}added: address ${address}, metadata ${formatMetadata(metadata)}`];
  });
  const moves = applied.some((each) => each.kind === 'changed' && each.metadata !== undefined);
  const all = names.length === 0 ? 'the machines of fleet.conf' : `${names.join(', ')} as in fleet.conf`;
  return {
    out: out.length > 0 ? out : [`The registry has ${all} already`],
    err: [
      ...applied.flatMap((each) => (each.kind === 'kept' ? differenceLines(each.difference) : [])),
      ...(moves
        ? ['hint: Metadata decides about placements; to see them: fleetctl reconcile --dry-run']
        : []),
    ],
  };
}

/** `{ "applied": [{ "machine": "m1", "change": "changed", "address": …, "metadata": … }] }`, see src/manual/json.md. */
export function appliedJson(applied: readonly AppliedMachine[]): object {
  const changes = applied.map((each) => {
    if (each.kind === 'kept')
      return { machine: each.difference.name, change: null, address: null, metadata: null };
    const { address, metadata } =
      each.kind === 'added'
        ? {
            address: { registry: null, proposed: each.place.address },
            metadata: { registry: null, proposed: each.place.metadata },
          }
        : each;
    const change = <T>(values: { registry: T; proposed: T } | undefined): object | null =>
      values === undefined ? null : { before: values.registry, after: values.proposed };
    return {
      machine: each.name,
      change: each.kind,
      address: change<string | null>(address),
      metadata: change<Metadata | null>(metadata),
    };
  });
  return { applied: changes };
}

type Changed = Pick<Extract<InventoryDifference, { kind: 'changed' }>, 'address' | 'metadata'>;

/** `address 10.0.0.9, before 10.0.0.1; metadata -, before disk=ssd`. */
function becomesText({ address, metadata }: Changed): string {
  const parts = [
    address && `address ${address.proposed}, before ${address.registry}`,
    metadata && `metadata ${formatMetadata(metadata.proposed)}, before ${formatMetadata(metadata.registry)}`,
  ];
  return parts.filter((part) => part !== undefined).join('; ');
}

/** `address 10.0.0.1, not 10.0.0.9; metadata disk=ssd, not -`. */
function changeText({ address, metadata }: Changed): string {
  const parts = [
    address && `address ${address.registry}, not ${address.proposed}`,
    metadata && `metadata ${formatMetadata(metadata.registry)}, not ${formatMetadata(metadata.proposed)}`,
  ];
  return parts.filter((part) => part !== undefined).join('; ');
}
