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
  const unstarted = outcomes.map((outcome) => unstartedBy(outcome, snapshot));
  const asked = new Set(unstarted.flatMap((each) => each?.required ?? []));
  const failed = asked.size === 0 ? [] : await failedOf([...asked], session);
  return outcomes.map((outcome, index) => {
    const { failure, required: all = [] } = unstarted[index] ?? {};
    if (failure === undefined) return outcome;
    const required = all.filter((unit) => failed.includes(unit));
    return { ...outcome, failure: required.length === 0 ? failure : { ...failure, required } };
  });
}

type Unstarted = {
  readonly failure: NotUp;
  /** The units that may be the reason, if they have failed. */
  readonly required: readonly string[];
};

/** The failure of a unit of which systemd has run nothing; undefined for other outcomes. */
function unstartedBy(outcome: UnitOutcome, snapshot: ClusterSnapshot): Unstarted | undefined {
  const { failure } = outcome;
  if (failure?.code !== 'not-up' || !hasNotRun(outcome, failure, snapshot)) return undefined;
  const state = { ...failure.state, exitCode: 0, exitStatus: 0 };
  const required = isDownByOthers(state) ? requiredBefore(outcome, snapshot) : [];
  return { failure: { ...failure, state }, required };
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

/** The units that the text requires, and the one that it has replaced there. */
function requiredBefore({ unit: name, machine }: UnitOutcome, snapshot: ClusterSnapshot): readonly string[] {
  const unit = unitNamed(name, snapshot);
  if (unit === undefined) return [];
  const view = machineNamed(machine, snapshot);
  const had = view && observedOn(view, name)?.record;
  const texts = had?.digest === unit.digest ? [] : (snapshot.olderTexts ?? []);
  const older = texts.filter((text) => text.name === name).map(requirements);
  return [...requirements(unit)].filter((other) => older.every((all) => all.has(other)));
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
