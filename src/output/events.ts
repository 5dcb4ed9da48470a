import { formatTime } from '../base/time.ts';
import type { LoggedEvent, LoggedMachine } from '../cluster/logged-event.ts';
import { formatMachineId } from '../machine/machine.ts';
import type { EventRow } from '../operations/list-events.ts';
import type { VoterChange } from '../quorum/electorate.ts';
import type { VoterStatus } from '../quorum/status.ts';
import { failureText } from './failure.ts';
import { formatAge } from './format.ts';
import { heldText, reasonText } from './reason.ts';

/** `2026-11-23T06:05:41Z  web.service moves from m1 to m3: the machine has not answered for 30s  (fleetd@ctl)` */
export function eventLine({ at, by, event }: EventRow): string {
  return `${formatTime(at)}  ${eventText(event)}  (${by})`;
}

/** One object: `time`, `by`, `event` and what belongs to it, see src/manual/json.md. */
export function eventJson({ at, by, event }: EventRow): object {
  const { kind, ...rest } = event;
  return {
    time: formatTime(at),
    by,
    event: kind,
    ...rest,
    ...orElse(() => fieldsOf(event), {}),
  };
}

function fieldsOf(event: LoggedEvent): object {
  return {
    ...('from' in event && { from: machineJson(event.from) }),
    ...('to' in event && { to: machineJson(event.to) }),
    ...('failure' in event && {
      failure: event.failure.code,
      reason: failureText(event.failure).summary,
    }),
    ...('held' in event && { reason: heldText(event) }),
    ...('because' in event && { because: event.because.code, reason: reasonText(event.because) }),
  };
}

/** `web.service has a new text, 5d7d29e` */
export function eventText(event: LoggedEvent): string {
  return orElse(() => knownText(event), unknownText(event));
}

/** Falls back if an entry, such as one of a newer version, lacks what `make` expects. */
function orElse<T>(make: () => T, instead: T): T {
  try {
    return make();
  } catch {
    return instead;
  }
}

function knownText(event: LoggedEvent): string {
  switch (event.kind) {
    case 'target':
      return `${event.unit} shall be ${event.target}`;
    case 'text':
      return `${event.unit} has a new text, ${event.hash.slice(0, 7)}`;
    case 'destroy':
      return `${event.unit} is destroyed`;
    case 'place':
      return `${event.unit} goes to ${name(event.to)}`;
    case 'move':
      return `${event.unit} moves from ${name(event.from)} to ${name(event.to)}: ${reasonText(event.because)}`;
    case 'return':
      return `${event.unit} stays on ${name(event.to)}: its move to ${name(event.from)} failed`;
    case 'machine-lost':
      return `${event.machine} does not answer: ${event.message}`;
    case 'machine-back':
      return `${event.machine} answers again after ${formatAge(event.silentMs)}`;
    case 'cordon':
      return `${event.machine} takes no new units${event.globals ? ', and global ones leave it' : ''}`;
    case 'uncordon':
      return `${event.machine} is no longer cordoned`;
    case 'machine-added':
      return `${event.machine} is added, with address ${event.address}`;
    case 'machine-changed':
      return `${event.machine} has ${changed(event)}`;
    case 'machine-renamed':
      return `${event.machine} is now called ${event.renamedTo}`;
    case 'machine-removed':
      return `${event.machine} is removed`;
    case 'voters':
      return votersText(event);
    case 'registry-rebuilt':
      return event.without.length > 0
        ? `the registry is rebuilt without ${event.without.join(', ')}; later changes that only they have are missing`
        : 'the registry is rebuilt from copies; changes after these were made are missing';
    case 'former-registry':
      return formerText(event);
    case 'failed':
      return `${event.unit} failed on ${event.machine}: ${failureText(event.failure).summary}`;
    case 'held':
      return `${event.unit} is held: ${heldText(event)}`;
    case 'released':
      return `${event.unit} may try text ${event.hash.slice(0, 7)} again`;
    case 'recovered':
      return `${event.unit} is as it should be on ${event.machine} again`;
    case 'restart':
      return `${event.unit} was restarted on ${event.machine}`;
    default:
      return unknownText(event);
  }
}

/** `db-1 is now a voter of the registry instead of web-2` */
export function votersText({ gone, come }: VoterChange): string {
  const areOf = (names: readonly string[]): string =>
    `${names.join(', ')} ${names.length > 1 ? 'are' : 'is'}`;
  if (gone.length === 0) return `${areOf(come)} now ${voter(come)}, too`;
  if (come.length === 0) return `${areOf(gone)} no longer ${voter(gone)}`;
  if (gone.join() === come.join())
    return `${come.join(', ')} had lost its copy of the registry, and has it again`;
  return `${areOf(come)} now ${voter(come)} instead of ${gone.join(', ')}`;
}

/** What a recovery may have missed. */
export function formerText({ machine, revision }: Pick<VoterStatus, 'machine' | 'revision'>): string {
  return `${machine} has the registry from before the recovery, at revision ${revision}, and may have changes that are not in this one`;
}

function voter({ length }: readonly string[]): string {
  return length > 1 ? 'voters of the registry' : 'a voter of the registry';
}

function changed({ address, metadata }: Extract<LoggedEvent, { kind: 'machine-changed' }>): string {
  const parts = [address && `address ${address}`, metadata && `metadata ${metadata}`];
  return parts.filter((part) => part !== undefined).join(' and ');
}

/** An event of a newer version of fleet, by its kind. */
function unknownText({ kind, ...rest }: { readonly kind: string }): string {
  return `${kind} ${JSON.stringify(rest)}`;
}

function name({ id, name: called }: LoggedMachine): string {
  return called ?? formatMachineId(id);
}

function machineJson({ id, name: called }: LoggedMachine): object {
  return { id: formatMachineId(id), name: called ?? null };
}
