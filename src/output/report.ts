import type { FleetError } from '../base/errors.ts';
import { groupBy } from '../base/group-by.ts';
import { formatDuration } from '../base/time.ts';
import type { UnreadableUnit } from '../cluster/snapshot.ts';
import type {
  HeldUnit,
  Listing,
  UnconfirmedUnit,
  UnknownUnit,
  UnreachableMachine,
} from '../operations/listing.ts';
import type { MachinePlan, Step } from '../plan/step.ts';
import { formatAge, formatRemaining } from './format.ts';
import { heldText } from './reason.ts';

/** Lines for standard output and for standard error, each without its newline. */
export type ReportLines = { readonly out: readonly string[]; readonly err: readonly string[] };

/** The lines of an error: its message, and its hint on a separate line. */
export function errorLines(error: FleetError): readonly string[] {
  return [`Error: ${upperFirst(error.message)}`, ...hintLines(error.hint)];
}

/** The name of a setting (`etcd_ca_file`) keeps its spelling. */
function upperFirst(text: string): string {
  return /^\w+_/.test(text) ? text : `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}

export function hintLines(hint: string | undefined): readonly string[] {
  return hint === undefined ? [] : `hint: ${hint}`.split('\n');
}

/** Warnings about the missing parts of a listing. */
export function missingLines({
  unreachable,
  unknown = [],
  unreadable,
  held = [],
  unconfirmed = [],
  withoutRegistry,
}: Omit<Listing<unknown>, 'rows'>): readonly string[] {
  const unknownLine = ({ unit, machine, why }: UnknownUnit): string =>
    `Warning: the state of unit "${unit}" on machine "${machine.name}" is unknown: ${why}`;
  const unreadableLine = ({ unit, message }: UnreadableUnit): string =>
    `Warning: ${message}; unit "${unit}" is left unchanged`;
  const registryLine = ({ message }: { readonly message: string }): string =>
    `Warning: ${message}; the list shows only the units that machines have`;
  return [
    ...withHints(withoutRegistry === undefined ? [] : [withoutRegistry], registryLine),
    ...unreachableLines(unreachable),
    ...withHints(unknown, unknownLine),
    ...withHints(unreadable, unreadableLine),
    ...heldLines(held),
    ...unconfirmed.map(unconfirmedLine),
  ];
}

/** Units that are held for the same reason, such as the instances of a template, have one line. */
export function heldLines(held: readonly HeldUnit[]): readonly string[] {
  return [...groupBy(held, heldText)].map(([why, [first, ...more]]) => {
    const others =
      more.length === 0 ? '' : more.length === 1 ? ' (and 1 other)' : ` (and ${more.length} others)`;
    return `Warning: unit "${first.unit}"${others} is held: ${why}`;
  });
}

/** `Warning: text 5d7d29e of sshd.service is not confirmed yet; machine "m2" reverts it in 12s` */
function unconfirmedLine({ unit, machine, hash, leftMs }: UnconfirmedUnit): string {
  return `Warning: text ${hash.slice(0, 7)} of ${unit} is not confirmed yet; machine "${machine.name}" reverts it ${formatRemaining(leftMs)}`;
}

/** Warnings about unreachable machines. */
export function unreachableLines(unreachable: readonly UnreachableMachine[]): readonly string[] {
  return withHints(unreachable, ({ message, silentMs }) => {
    const since = silentMs < 1000 ? '' : ` (unreachable for ${formatAge(silentMs)})`;
    return `Warning: ${message}${since}; the state of its units is unknown`;
  });
}

/** A line for each item, then each of their hints once. */
function withHints<Item extends { readonly hint?: string | undefined }>(
  items: readonly Item[],
  toLine: (item: Item) => string,
): readonly string[] {
  const hints = new Set(items.map(({ hint }) => hint));
  return [...items.map(toLine), ...[...hints].flatMap(hintLines)];
}

/** The work; "Nothing to do" only if nothing failed. */
export function workLines(work: readonly string[], hasFailed: boolean): readonly string[] {
  return work.length === 0 && !hasFailed ? ['Nothing to do'] : work;
}

/** The steps in the order of a machine's script, and their names. */
const STEPS: readonly (readonly [Step['kind'], string])[] = [
  ['adopt', 'adopt'],
  ['arm', 'arm the revert of'],
  ['write', 'write the unit file of'],
  ['stop', 'stop'],
  ['record', 'record'],
  ['remove', 'remove'],
  ['start', 'start'],
  ['restart', 'restart'],
  ['watch', 'watch'],
];

/** One line per step: `m1: stop web.service`. */
export function planLines({ machine, changes }: MachinePlan): readonly string[] {
  const possible = changes.filter(({ obstacle }) => obstacle === undefined);
  return STEPS.flatMap(([kind, words]) =>
    possible.flatMap(({ unit, steps }) =>
      steps.filter((step) => step.kind === kind).map((step) => `${machine}: ${words} ${unit}${remark(step)}`),
    ),
  );
}

/** A note about a confirmation, a file that was changed on the machine, or the links of `[Install]`. */
function remark(step: Step): string {
  if (step.kind === 'write' && step.altered) return `, which was ${step.altered} there`;
  if (step.kind === 'arm') return `, which is confirmed within ${formatDuration(step.windowMs)}`;
  if (step.kind !== 'record') return '';
  const links = step.links.filter((link) => !link.startsWith('fleet.target.wants/'));
  return links.length === 0 ? '' : `, enable it: ${links.join(' ')}`;
}
