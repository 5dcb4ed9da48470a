import { lowerFirst } from '../base/text.ts';
import { oneLine } from '../base/visible.ts';
import type { UnitOutcome } from '../cluster/failure.ts';
import { mayBeDown } from '../cluster/unreachable.ts';
import type { ControllerEvent } from '../reconcile/events.ts';
import { formerText, votersText } from './events.ts';
import { failureText } from './failure.ts';
import { formatAge } from './format.ts';
import { reasonText, stayText } from './reason.ts';

/** One line of a controller's log: a message for people, and fields for programs. */
export type LogEntry = {
  readonly level: 'info' | 'warning' | 'error';
  readonly event: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, string | number | readonly string[]>>;
};

/** The log entry of an event; undefined for events that are only progress of a command. */
export function logEntry(event: ControllerEvent): LogEntry | undefined {
  const row = ROWS[event.kind]?.(event as never);
  return (
    row && { level: row.level, event: row.event ?? event.kind, message: row.message, fields: row.fields }
  );
}

/** The log entry of an unexpected error. */
export function bugEntry(error: unknown): LogEntry {
  const message = `a request failed: ${error instanceof Error ? (error.stack ?? error.message) : error}`;
  return { level: 'error', event: 'bug', message, fields: {} };
}

/** `warning: machine "m1" does not answer: …`; journald takes the level from the prefix (sd-daemon(3)). */
export function logText({ level, message }: LogEntry): string {
  return `${level === 'info' ? '' : `${level}: `}${oneLine(message)}\n`;
}

/** One object per line; `time` is ISO 8601. */
export function logJson({ level, event, message, fields }: LogEntry, time: string): string {
  return `${JSON.stringify({ time, level, event, message, ...fields })}\n`;
}

type Of<K extends ControllerEvent['kind']> = Extract<ControllerEvent, { kind: K }>;

/** `event` is the kind of the event unless given. */
type Row = Omit<LogEntry, 'event'> & { readonly event?: string };

const row =
  (level: LogEntry['level']) =>
  (message: string, fields: LogEntry['fields'] = {}, event?: string): Row => ({
    level,
    message,
    fields,
    ...(event !== undefined && { event }),
  });
const info = row('info');
const warning = row('warning');
const error = row('error');

const ROWS: { readonly [K in ControllerEvent['kind']]?: (event: Of<K>) => Row | undefined } = {
  decided: (event) => (event.again ? undefined : decidedRow(event)),
  outcome: (event) => (event.again ? undefined : outcomeRow(event)),
  leads: () => info('this controller leads'),
  'stands-by': () => info('this controller stands by'),
  'election-failed': (event) => error(`this controller cannot stand for election: ${event.error.message}`),
  'leadership-given-up': ({ trouble }) => error(`this controller gives up the leadership: ${trouble}`),
  'socket-taken': ({ path }) => info(`another fleetd listens on ${path}; this one takes over when it ends`),
  'registry-lost': (event) =>
    error(`nothing is decided, because the registry cannot be read: ${event.error.message}`),
  'registry-back': () => info('the registry can be read again'),
  'machine-lost': ({ machine, unreachable }) => {
    const what = mayBeDown(unreachable) ? 'does not answer' : 'cannot be used';
    return warning(`machine "${machine}" ${what}: ${unreachable.message}`, {
      machine,
      reason: unreachable.code,
    });
  },
  'machine-back': ({ machine, silentMs }) =>
    info(`machine "${machine}" answers again after ${formatAge(silentMs)}`, {
      machine,
      silentMs: Math.round(silentMs),
    }),
  voters: (event) => info(votersText(event), { gone: event.gone, come: event.come }),
  'former-registry': (event) =>
    warning(formerText(event), { machine: event.machine, revision: event.revision }),
  'lease-refused': ({ machine, error: { code, message } }) =>
    (code === 'machine-stopping' ? info : warning)(lowerFirst(message), { machine, reason: code }),
  'cut-off': ({ unreachable, machines }) =>
    error(
      `${unreachable} of ${machines} machines are unreachable, so no unit leaves its machine: the network here may be down`,
      { silent: unreachable, machines },
    ),
  connected: () => info('enough machines answer again'),
  paused: ({ ms }) =>
    warning(
      `this process was paused for ${formatAge(ms)}; the time that machines are unreachable is counted from now`,
      {
        ms: Math.round(ms),
      },
    ),
  stuck: stuckRow,
  unreadable: ({ unit, message }) => error(`${message}; unit "${unit}" is left unchanged`, { unit }),
  'pass-failed': ({ again, units, error: { code, message } }) =>
    again ? undefined : error(`a pass failed: ${message}`, { units, reason: code }),
};

function decidedRow({ unit, decision, from, to, because, token }: Of<'decided'>): Row | undefined {
  // The release of a unit that is on no machine changes nothing.
  if (from === undefined && to === undefined) return undefined;
  const name = (place: typeof from): string => `"${place?.machine ?? place?.id ?? ''}"`;
  const reason = because === undefined ? '' : `: ${reasonText(because)}`;
  const message = {
    place: `unit ${unit} goes to ${name(to)}`,
    move: `unit ${unit} moves from ${name(from)} to ${name(to)}${reason}`,
    release: `unit ${unit} leaves ${name(from)}`,
  }[decision];
  const fields = {
    unit,
    ...(from !== undefined && { from: from.machine ?? from.id }),
    ...(to !== undefined && { to: to.machine ?? to.id }),
    ...(because !== undefined && { reason: because.code }),
    revision: token,
  };
  return info(`${message} (revision ${token})`, fields, decision);
}

function outcomeRow({ unit, machine, state, failure }: UnitOutcome): Row {
  const fields = { unit, machine };
  if (failure === undefined) {
    const now = state === undefined ? 'is as wanted' : `is ${state.active} (${state.sub})`;
    return info(`unit ${unit} on "${machine}" ${now}`, fields, 'done');
  }
  const level = failure.code === 'unreachable' ? warning : error;
  const message = `unit ${unit} on "${machine}": ${failureText(failure).summary}`;
  return level(message, { ...fields, reason: failure.code }, 'failed');
}

function stuckRow({ decision }: Of<'stuck'>): Row {
  const { unit } = decision;
  if (decision.kind === 'unschedulable') {
    const why = decision.rejected.map(({ machine, reason }) => `${machine}: ${reasonText(reason)}`);
    return warning(`no machine fits unit ${unit}: ${why.join('; ')}`, { unit }, 'nowhere');
  }
  const { violation, stays } = decision;
  const message = `unit ${unit} should leave its machine, but ${stayText(stays)}: ${reasonText(violation)}`;
  return warning(message, { unit, reason: violation.code }, 'stays');
}
