import type { Failure, MachineStep, UnitOutcome } from '../cluster/failure.ts';
import { hasStarted, isRunning, isUp, type SystemdState } from '../cluster/unit-state.ts';
import type { UnitChange } from '../plan/step.ts';
import { findSection as find, type Section } from './frame.ts';
import { parseShow } from './show.ts';

/**
 * Reads the sections of the change script: how each change went, journals not yet included. Unless the script
 * blocked, nobody looked what became of starts and stops.
 */
export function readOutcomes(
  machine: string,
  changes: readonly UnitChange[],
  sections: readonly Section[],
  blocks = true,
): readonly UnitOutcome[] {
  const states = statesOf(sections, 'units');
  const before = statesOf(sections, 'started');
  const wide = machineFailure(sections);
  return changes.map((change, index) => {
    const state = states.get(change.unit);
    const failure =
      change.obstacle ??
      wide ??
      stepFailure(change, index, sections) ??
      (blocks ? startFailure(change, sections, before, state) : queueFailure(change, sections, state));
    const triggered = blocks || failure !== undefined ? undefined : triggeredJob(change);
    return { unit: change.unit, machine, state, failure, ...(triggered && { triggered }) };
  });
}

function statesOf(sections: readonly Section[], name: string): ReadonlyMap<string, SystemdState> {
  const shown = parseShow(find(sections, name)?.stdout ?? '');
  return new Map(shown.flatMap(({ names, state }) => names.map((unit) => [unit, state] as const)));
}

/** Steps that concern the machine as a whole. */
const MACHINE_STEPS: readonly MachineStep[] = ['prepare', 'lock', 'cluster', 'reload'];

function machineFailure(sections: readonly Section[]): Failure | undefined {
  for (const step of MACHINE_STEPS) {
    const section = sections.find(({ name, status }) => name === step && status !== 0);
    if (section === undefined) continue;
    if (step === 'cluster' && section.status === 10) {
      return { code: 'other-cluster', cluster: section.stderr };
    }
    if (step === 'prepare' && section.status === 12)
      return { code: 'tools', tools: section.stderr.split(' ') };
    // flock(1) says nothing and exits with 1 when the time it was given has passed.
    if (step === 'lock' && section.status === 1 && section.stderr === '') return { code: 'locked' };
    return { code: 'step', step, detail: section.stderr };
  }
  return undefined;
}

/** Sections of a single change, and the step that people know them by. */
const UNIT_STEPS: Readonly<Record<string, MachineStep>> = {
  put: 'write',
  verify: 'write',
  claim: 'stop',
  stopped: 'stop',
  install: 'install',
  remove: 'remove',
  bury: 'remove',
  forbid: 'forbid',
};

function stepFailure(change: UnitChange, index: number, sections: readonly Section[]): Failure | undefined {
  const section = sections.find(({ name, status }) => name.endsWith(`:${index}`) && status !== 0);
  if (section === undefined) return undefined;
  const detail = section.stderr;
  const kind = section.name.slice(0, section.name.lastIndexOf(':'));
  if (kind === 'guard' && section.status === 10) {
    return { code: 'stale', token: change.token, seen: Number(detail) };
  }
  if (kind === 'guard' && section.status === 12) {
    const [alias = '', path = ''] = detail.split(' ');
    return { code: 'alias-taken', alias, path };
  }
  if (kind === 'guard') return { code: 'foreign', path: detail };
  if (kind === 'under') return { code: 'fenced', reason: { code: 'no-lease' } };
  return { code: 'step', step: UNIT_STEPS[kind] ?? 'install', detail };
}

function startFailure(
  change: UnitChange,
  sections: readonly Section[],
  before: ReadonlyMap<string, SystemdState>,
  after: SystemdState | undefined,
): Failure | undefined {
  if (!isStarted(change)) return undefined;
  const first = before.get(change.unit);
  if (first === undefined || after === undefined) return UNKNOWN;
  return hasStarted(first, after) ? undefined : notUp(change, sections, after);
}

/** Why systemd did not even take the job. */
function queueFailure(
  change: UnitChange,
  sections: readonly Section[],
  after: SystemdState | undefined,
): Failure | undefined {
  if (!isStarted(change)) return undefined;
  if (after === undefined) return UNKNOWN;
  const refused = sections.some(({ name, status }) => START_SECTIONS.includes(name) && status !== 0);
  // One that has run to its end already, or runs, was taken, whichever other was not.
  const isTaken = after.load === 'loaded' && (!refused || isRunning(after) || isUp(after));
  return isTaken ? undefined : notUp(change, sections, after);
}

/** The job that was queued and not waited for. A stop before a file is replaced or removed is. */
function triggeredJob(change: UnitChange): 'start' | 'stop' | undefined {
  const kinds = new Set(change.steps.map(({ kind }) => kind));
  if (isStarted(change)) return 'start';
  return kinds.has('stop') && !kinds.has('write') && !kinds.has('remove') ? 'stop' : undefined;
}

function isStarted({ steps }: UnitChange): boolean {
  return steps.some(({ kind }) => kind === 'start' || kind === 'restart');
}

const START_SECTIONS = ['start', 'restart'];
const UNKNOWN: Failure = {
  code: 'step',
  step: 'install',
  detail: 'systemd did not say what became of it',
};

function notUp({ unit }: UnitChange, sections: readonly Section[], state: SystemdState): Failure {
  const said = START_SECTIONS.flatMap((name) => (find(sections, name)?.stderr ?? '').split('\n'));
  // systemctl puts a blank before names; web.service is not spoken of where myweb.service is.
  const detail = said.find((line) => line.includes(` ${unit}`)) ?? '';
  return { code: 'not-up', state, detail, journal: [] };
}
