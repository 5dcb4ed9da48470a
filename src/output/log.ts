import { oneLine } from '../base/visible.ts';
import type { UnitOutcome } from '../cluster/failure.ts';
import { mayBeDown } from '../cluster/unreachable.ts';
import type { ControllerEvent } from '../reconcile/notice.ts';
import { failureText } from './failure.ts';
import { howLong, reasonText } from './reason.ts';

/** One line of a controller's log: words for people, and the same in fields for machines. */
export type LogEntry = {
  readonly level: 'info' | 'warning' | 'error';
  readonly event: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, string | number | readonly string[]>>;
};

/** What a controller logs of an event; undefined for what is of use only to a command that waits for it. */
export function logEntry(event: ControllerEvent): LogEntry | undefined {
  switch (event.kind) {
    case 'decided':
      return decidedEntry(event);
    case 'changes-sent':
    case 'pass-begun':
    case 'planned':
    case 'wave-begun':
    case 'pass-done':
    case 'unit-state':
    // Its watches tell of machines.
    case 'machine-asked':
    case 'machine-answered':
    case 'machine-silent':
      return undefined;
    case 'outcome':
      return event.again ? undefined : outcomeEntry(event);
    case 'pass-failed':
      return event.again ? undefined : noticeEntry(event);
    default:
      return noticeEntry(event);
  }
}

/** What a controller logs of an unexpected error. */
export function bugEntry(error: unknown): LogEntry {
  const message = `a request failed: ${error instanceof Error ? (error.stack ?? error.message) : error}`;
  return { level: 'error', event: 'bug', message, fields: {} };
}

/** `warning: machine "m1" does not answer: …`; journald takes the level from the prefix (sd-daemon(3)). */
export function logText({ level, message }: LogEntry): string {
  return `${level === 'info' ? '' : `${level}: `}${oneLine(message)}\n`;
}

/** One object a line; `time` is ISO 8601. */
export function logJson({ level, event, message, fields }: LogEntry, time: string): string {
  return `${JSON.stringify({ time, level, event, message, ...fields })}\n`;
}

type Of<K extends ControllerEvent['kind']> = Extract<ControllerEvent, { kind: K }>;

function decidedEntry({ unit, decision, from, to, because, token }: Of<'decided'>): LogEntry | undefined {
  // Letting go of a unit that is on no machine is no news.
  if (from === undefined && to === undefined) return undefined;
  const name = (place: typeof from): string => `"${place?.machine ?? place?.id ?? ''}"`;
  const reason = because === undefined ? '' : `: ${reasonText(because)}`;
  const message = {
    place: `unit ${unit} goes to ${name(to)}`,
    move: `unit ${unit} moves from ${name(from)} to ${name(to)}${reason}`,
    release: `unit ${unit} leaves ${name(from)}`,
  }[decision];
  return {
    level: 'info',
    event: decision,
    message: `${message} (revision ${token})`,
    fields: {
      unit,
      ...(from !== undefined && { from: from.machine ?? from.id }),
      ...(to !== undefined && { to: to.machine ?? to.id }),
      ...(because !== undefined && { reason: because.code }),
      revision: token,
    },
  };
}

function outcomeEntry({ unit, machine, state, failure }: UnitOutcome): LogEntry {
  const fields = { unit, machine };
  if (failure === undefined) {
    const now = state === undefined ? 'is as wanted' : `is ${state.active} (${state.sub})`;
    return { level: 'info', event: 'done', message: `unit ${unit} on "${machine}" ${now}`, fields };
  }
  const { summary } = failureText(failure);
  return {
    level: failure.code === 'unreachable' ? 'warning' : 'error',
    event: 'failed',
    message: `unit ${unit} on "${machine}": ${summary}`,
    fields: { ...fields, reason: failure.code },
  };
}

type Noticed = Exclude<
  ControllerEvent,
  Of<
    | 'decided'
    | 'outcome'
    | 'changes-sent'
    | 'pass-begun'
    | 'planned'
    | 'wave-begun'
    | 'pass-done'
    | 'unit-state'
    | 'machine-asked'
    | 'machine-answered'
    | 'machine-silent'
  >
>;

function noticeEntry(notice: Noticed): LogEntry {
  const entry = (level: LogEntry['level'], message: string, fields: LogEntry['fields'] = {}): LogEntry => ({
    level,
    event: notice.kind,
    message,
    fields,
  });
  switch (notice.kind) {
    case 'leads':
      return entry('info', 'this controller leads');
    case 'stands-by':
      return entry('info', 'this controller stands by');
    case 'election-failed':
      return entry('error', `this controller cannot stand for election: ${notice.error.message}`);
    case 'leadership-given-up':
      return entry('error', `this controller gives up the leadership: ${notice.trouble}`);
    case 'socket-taken':
      return entry('info', `another fleetd answers on ${notice.path}; this one takes over when that ends`);
    case 'registry-lost':
      return entry(
        'error',
        `nothing is decided, because the registry cannot be read: ${notice.error.message}`,
      );
    case 'registry-back':
      return entry('info', 'the registry can be read again');
    case 'machine-lost':
      return lostEntry(notice);
    case 'machine-back':
      return entry('info', `machine "${notice.machine}" answers again after ${howLong(notice.silentMs)}`, {
        machine: notice.machine,
        silentMs: Math.round(notice.silentMs),
      });
    case 'lease-refused':
      return leaseEntry(notice);
    case 'cut-off':
      return cutOffEntry(notice);
    case 'connected':
      return entry('info', 'enough machines answer again');
    case 'overslept':
      return entry(
        'warning',
        `did not run for ${howLong(notice.ms)}; how long machines are unreachable is measured from now on`,
        {
          ms: Math.round(notice.ms),
        },
      );
    case 'stuck':
      return stuckEntry(notice);
    case 'unreadable':
      return entry('error', `${notice.message}; unit "${notice.unit}" is left as it is`, {
        unit: notice.unit,
      });
    case 'pass-failed':
      return entry('error', `a pass failed: ${notice.error.message}`, {
        units: notice.units,
        reason: notice.error.code,
      });
  }
}

function cutOffEntry({ unreachable, machines }: Of<'cut-off'>): LogEntry {
  const what = `${unreachable} of ${machines} machines are unreachable, so no unit leaves its machine`;
  return {
    level: 'error',
    event: 'cut-off',
    message: `${what}: the network here may be down`,
    fields: { silent: unreachable, machines },
  };
}

function lostEntry({ machine, unreachable }: Of<'machine-lost'>): LogEntry {
  const what = mayBeDown(unreachable) ? 'does not answer' : 'cannot be used';
  return {
    level: 'warning',
    event: 'machine-lost',
    message: `machine "${machine}" ${what}: ${unreachable.message}`,
    fields: { machine, reason: unreachable.code },
  };
}

function leaseEntry({ machine, error: { code, message } }: Of<'lease-refused'>): LogEntry {
  return {
    level: code === 'machine-stopping' ? 'info' : 'warning',
    event: 'lease-refused',
    message: lowerFirst(message),
    fields: { machine, reason: code },
  };
}

function lowerFirst(sentence: string): string {
  return `${sentence.slice(0, 1).toLowerCase()}${sentence.slice(1)}`;
}

function stuckEntry({ decision }: Of<'stuck'>): LogEntry {
  const { unit } = decision;
  if (decision.kind === 'unschedulable') {
    const why = decision.rejected
      .map(({ machine, reason }) => `${machine}: ${reasonText(reason)}`)
      .join('; ');
    return {
      level: 'warning',
      event: 'nowhere',
      message: `no machine fits unit ${unit}: ${why}`,
      fields: { unit },
    };
  }
  const why = decision.violation === undefined ? '' : `: ${reasonText(decision.violation)}`;
  const reason = decision.violation?.code ?? '';
  return {
    level: 'warning',
    event: 'stays',
    message: `unit ${unit} should leave its machine, but no other one takes it${why}`,
    fields: { unit, reason },
  };
}
