import { isFleetError } from '../base/errors.ts';
import type { Failure, UnitOutcome } from '../cluster/failure.ts';
import {
  type ClusterSnapshot,
  type DependentUnit,
  machineNamed,
  observedOn,
  unitNamed,
} from '../cluster/snapshot.ts';
import { isDownByOthers } from '../cluster/unit-state.ts';
import type { MachineSession } from '../systemd/driver.ts';
import { failedQuery } from '../systemd/queries.ts';
import { EFFECTS } from '../unit/dependencies.ts';

type NotUp = Extract<Failure, { code: 'not-up' }>;

/**
 * The outcomes, with the units because of which systemd has not run a text: they have failed, and the text requires them. If it has
 * replaced one there that did not require them, the failure is its own.
 */
export async function withRequired(
  outcomes: readonly UnitOutcome[],
  session: MachineSession,
  snapshot: ClusterSnapshot,
): Promise<readonly UnitOutcome[]> {
  const explained: UnitOutcome[] = [];
  for (const outcome of outcomes) {
    const { failure } = outcome;
    const isUnstarted = failure?.code === 'not-up' && hasNotRun(outcome, failure, snapshot);
    explained.push(
      isUnstarted ? { ...outcome, failure: await explain(outcome, failure, session, snapshot) } : outcome,
    );
  }
  return explained;
}

/** Whether a required unit kept systemd from running anything of the unit: its state tells of an earlier run then. */
function hasNotRun(
  { unit, machine }: UnitOutcome,
  { state, journal }: NotUp,
  snapshot: ClusterSnapshot,
): boolean {
  const view = machineNamed(machine, snapshot);
  const before = view && observedOn(view, unit)?.state.invocation;
  return (
    (state.invocation === '' || state.invocation === before) &&
    journal.includes(`${unit}: Job ${unit}/start failed with result 'dependency'.`)
  );
}

async function explain(
  { unit: name, machine }: UnitOutcome,
  failure: NotUp,
  session: MachineSession,
  snapshot: ClusterSnapshot,
): Promise<NotUp> {
  const unstarted: NotUp = { ...failure, state: { ...failure.state, exitCode: 0, exitStatus: 0 } };
  const unit = unitNamed(name, snapshot);
  if (unit === undefined || !isDownByOthers(unstarted.state)) return unstarted;
  const view = machineNamed(machine, snapshot);
  const had = view && observedOn(view, name)?.record;
  const texts = had?.digest === unit.digest ? [] : (snapshot.olderTexts ?? []);
  const older = texts.filter((text) => text.name === name).map(requirements);
  const asked = [...requirements(unit)].filter((other) => older.every((all) => all.has(other)));
  const required = asked.length === 0 ? [] : await failedOf(asked, session);
  return required.length === 0 ? unstarted : { ...unstarted, required };
}

async function failedOf(units: readonly string[], session: MachineSession): Promise<readonly string[]> {
  try {
    return await session.ask(failedQuery(units));
  } catch (error) {
    if (!isFleetError(error)) throw error;
    return [];
  }
}

/** The units without which systemd does not start the unit. */
function requirements({ dependencies }: Pick<DependentUnit, 'dependencies'>): ReadonlySet<string> {
  const needed = dependencies.filter(
    ({ kind }) => EFFECTS[kind].needed === 'named' && EFFECTS[kind].follower === 'declarer',
  );
  return new Set(needed.map(({ unit }) => unit));
}
