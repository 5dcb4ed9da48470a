import { CAUSE_RELATIONS, type Failure, type MachineStep, type UnitOutcome } from '../cluster/failure.ts';
import { hasStarted, isRunning, isUp, type SystemdState } from '../cluster/unit-state.ts';
import { readNumber } from '../machine/limits.ts';
import { expectsUp, hasStep, type UnitChange } from '../plan/step.ts';
import { isLowered, isOfTemplate } from './change-jobs.ts';
import type { Section } from './frame.ts';
import {
  MOST_LINES,
  messagesAbout,
  readFinalStates,
  readLeft,
  readQueued,
  readStates,
  type States,
} from './read-evidence.ts';

const UNVERIFIED: Failure = { code: 'unverified' };

/**
 * Reads the outcome of each change from the sections of the change script, journals not yet included. A change without
 * evidence has not succeeded. A script that did not block has not checked the results of starts and stops.
 */
export function readOutcomes(
  machine: string,
  changes: readonly UnitChange[],
  sections: readonly Section[],
  blocks = true,
): readonly UnitOutcome[] {
  const names = changes.map(({ unit }) => unit);
  const states = readFinalStates(names, sections);
  const before = readStates(names, sections, 'started');
  const ofMachine = machineFailure(sections);
  const byIndex = new Map<string, Section[]>();
  for (const section of sections) {
    const index = section.name.slice(section.name.lastIndexOf(':') + 1);
    byIndex.set(index, byIndex.get(index) ?? []);
    byIndex.get(index)?.push(section);
  }
  return changes.map((change, index) => {
    const own = byIndex.get(String(index)) ?? [];
    const state = hasStep(change, 'remove', 'forbid', 'check') ? undefined : states.get(change.unit);
    const failure =
      change.obstacle ??
      ofMachine ??
      stepFailure(change, own, sections) ??
      (isProven(change, own, state, blocks) ? rewriteFailure(change, own) : UNVERIFIED) ??
      (blocks ? startFailure(change, sections, before, state) : queueFailure(change, sections, state));
    const triggered = blocks || failure !== undefined ? undefined : triggeredJob(change);
    const left = failure === undefined ? readLeft(change.unit, sections) : undefined;
    return {
      unit: change.unit,
      machine,
      state,
      failure,
      ...(triggered && { triggered }),
      ...(left !== undefined && { left }),
    };
  });
}

/** Steps of the machine as a whole. */
const MACHINE_STEPS: readonly MachineStep[] = ['prepare', 'lock', 'cluster', 'flush', 'reload'];

function machineFailure(sections: readonly Section[]): Failure | undefined {
  for (const step of MACHINE_STEPS) {
    const section = sections.find(({ name, status }) => name === step && status !== 0);
    if (section === undefined) continue;
    const { status, stderr: detail } = section;
    if (step === 'cluster' && status === 10) return { code: 'other-cluster', cluster: detail };
    if (step === 'prepare' && status === 12) return { code: 'tools', tools: detail.split(' ') };
    if ((step === 'lock' || step === 'cluster') && status === 11) return locked(detail);
    return { code: 'step', step, detail };
  }
  return undefined;
}

/** `PID USER COMMAND` of the process that holds the lock, or nothing. */
function locked(said: string): Failure {
  const [, pid, user = '', command = ''] = /^(\d{1,10}) (\S+) (.*)$/.exec(said) ?? [];
  return { code: 'locked', ...(pid !== undefined && { holder: { pid: Number(pid), user, command } }) };
}

/** Sections of a single change, and the step that a failure names. */
const UNIT_STEPS: Readonly<Record<string, MachineStep>> = {
  put: 'write',
  verify: 'write',
  arm: 'arm',
  claim: 'stop',
  unlink: 'stop',
  install: 'install',
  remove: 'remove',
  retire: 'remove',
  check: 'stop',
  forbid: 'forbid',
};

/** `own` are the sections of that change. */
function stepFailure(
  change: UnitChange,
  own: readonly Section[],
  sections: readonly Section[],
): Failure | undefined {
  const section = own.find((each) => each.status !== 0 && !isRewrite(change, each));
  if (section === undefined) return undefined;
  const { status, stderr: detail } = section;
  const kind = section.name.slice(0, section.name.lastIndexOf(':'));
  switch (kind) {
    case 'guard':
      return guardFailure(change, section);
    case 'lease':
      return { code: 'fenced', reason: { code: 'no-lease' } };
    case 'file':
      return UNVERIFIED;
    // The unit must be down after its stop, after the reload that made it unknown, and at the end.
    case 'stopped':
    case 'gone':
    case 'down':
      return status === 14 ? notDown(change, section, sections) : UNVERIFIED;
    default:
      if (kind === 'adopt' && status === 10) return guardFailure(change, section);
      return { code: 'step', step: UNIT_STEPS[kind] ?? 'install', detail };
  }
}

/** Its stop does not need the new text. */
function isRewrite(change: UnitChange, { name }: Section): boolean {
  return isLowered(change) && name.startsWith('put:');
}

function rewriteFailure(change: UnitChange, own: readonly Section[]): Failure | undefined {
  const section = own.find((each) => each.status !== 0 && isRewrite(change, each));
  return section && { code: 'step', step: 'rewrite', detail: section.stderr };
}

/** The exit statuses of `guard` in change.sh. */
function guardFailure(change: UnitChange, { status, stderr: detail }: Section): Failure {
  const { token } = change;
  switch (status) {
    case 10:
      return { code: 'stale', token, seen: readNumber(detail, 'token') };
    case 11:
      return { code: 'foreign', path: detail };
    case 12: {
      const [alias = '', path = ''] = detail.split(' ');
      return { code: 'alias-taken', alias, path };
    }
    case 13:
      return { code: 'step', step: hasStep(change, 'remove', 'check') ? 'remove' : 'install', detail };
    case 14:
      return { code: 'overtaken', token, seen: readNumber(detail, 'token') };
    case 15:
      return { code: 'awaits-confirmation', leftMs: Math.max(0, Number(detail) || 0) * 10 };
    case 16:
      return { code: 'awaits-confirmation', leftMs: 0 };
    default:
      return UNVERIFIED;
  }
}

/** Lines of `stopped` in jobs.sh: the state, `again` for another run, and `RELATION=UNIT`. */
function notDown({ unit }: UnitChange, { stderr }: Section, sections: readonly Section[]): Failure {
  const [state = '', ...rest] = stderr.split('\n');
  const causes = rest.flatMap((line) => {
    const relation = CAUSE_RELATIONS.find((each) => line.startsWith(`${each}=`));
    return relation === undefined ? [] : [{ relation, unit: line.slice(relation.length + 1) }];
  });
  const detail = messagesAbout(unit, sections, ['stop']);
  return { code: 'not-down', state, again: rest[0] === 'again', causes, detail, journal: [] };
}

/** Whether the state of the unit after all steps is known. */
function isProven(
  change: UnitChange,
  own: readonly Section[],
  state: SystemdState | undefined,
  blocks: boolean,
): boolean {
  const passed = (kind: string): boolean =>
    own.some(({ name, status }) => name.startsWith(`${kind}:`) && status === 0);
  if (hasStep(change, 'forbid')) return passed('forbid');
  if (hasStep(change, 'check')) return passed('check');
  if (hasStep(change, 'remove')) return passed('retire');
  if (blocks && hasStep(change, 'stop') && !hasStep(change, 'start') && !passed('down')) return false;
  return isOfTemplate(change) ? !hasStep(change, 'record') || passed('file') : state !== undefined;
}

function startFailure(
  change: UnitChange,
  sections: readonly Section[],
  before: States,
  after: SystemdState | undefined,
): Failure | undefined {
  if (isOfTemplate(change) || !expectsUp(change)) return undefined;
  const first = before.get(change.unit);
  if (first === undefined || after === undefined) return UNVERIFIED;
  if (isRefused(change.unit, sections)) return notUp(change, sections, after);
  if (hasStarted(first, after)) return undefined;
  const waitsFor = isRunning(after) ? undefined : readQueued(change.unit, sections);
  return waitsFor === undefined ? notUp(change, sections, after) : { code: 'queued', waitsFor };
}

/** Why systemd did not queue the job. */
function queueFailure(
  change: UnitChange,
  sections: readonly Section[],
  after: SystemdState | undefined,
): Failure | undefined {
  if (!isStarted(change)) return undefined;
  if (after === undefined) return UNVERIFIED;
  const refused = sections.some(({ name, status }) => START_SECTIONS.includes(name) && status !== 0);
  // A unit that runs, or has already finished, was accepted even if another one was refused.
  const isQueued = after.load === 'loaded' && (!refused || isRunning(after) || isUp(after));
  return isQueued ? undefined : notUp(change, sections, after);
}

/** The job that was queued and not awaited; a stop before a file is replaced or removed is always awaited. */
function triggeredJob(change: UnitChange): 'start' | 'stop' | undefined {
  if (isStarted(change)) return 'start';
  return hasStep(change, 'stop') && !hasStep(change, 'write', 'remove') ? 'stop' : undefined;
}

function isStarted(change: UnitChange): boolean {
  return !isOfTemplate(change) && hasStep(change, 'start', 'restart');
}

const START_SECTIONS = ['start', 'restart'];

/** Whether systemd refused the job; a unit that runs is then in the run that it was in before. */
function isRefused(unit: string, sections: readonly Section[]): boolean {
  return sections
    .filter(({ name, status }) => START_SECTIONS.includes(name) && status !== 0)
    .flatMap(({ stderr }) => stderr.split('\n', MOST_LINES))
    .some((line) => /^Failed to (re)?start /.test(line) && line.includes(`start ${unit}:`));
}

function notUp({ unit }: UnitChange, sections: readonly Section[], state: SystemdState): Failure {
  return { code: 'not-up', state, detail: messagesAbout(unit, sections, START_SECTIONS), journal: [] };
}
