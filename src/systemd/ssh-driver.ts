import { randomBytes } from 'node:crypto';
import { isFleetError } from '../base/errors.ts';
import type { Failure, UnitOutcome } from '../cluster/failure.ts';
import { unreachableFailure } from '../cluster/unreachable.ts';
import { badAnswer } from '../machine/limits.ts';
import type { Machine } from '../machine/machine.ts';
import type { UnitChange } from '../plan/step.ts';
import { type Access, becomes } from '../ssh/become.ts';
import { openRootShell } from '../ssh/root-shell.ts';
import type { Transport } from '../ssh/transport.ts';
import type { Waits } from './change-jobs.ts';
import { changeScript, type Owner } from './change-script.ts';
import { armOf, type Confirming, confirmed } from './confirm-changes.ts';
import {
  DEFAULT_WAIT,
  type MachineSession,
  type Query,
  type SystemdDriver,
  type WaitPolicy,
} from './driver.ts';
import { journalBytes, readJournalScript } from './journal.ts';
import { openJournal } from './journal-stream.ts';
import { journalsQuery, statesQuery, type VoterPlace } from './queries.ts';
import { changedUnits } from './read-evidence.ts';
import { readOutcomes } from './read-outcomes.ts';
import { MACHINE_PATHS, type MachinePaths } from './script.ts';
import { ScriptRunner } from './script-runner.ts';

/** For how many failed units of one machine journal lines are shown. */
const JOURNAL_UNITS = 20;

/** The limit of a change, in ms: two waits for the lock, one for stops, one for starts, and some reserve. */
const CHANGE_DEADLINE_MS = 330_000;
/** The limit of the waits for stops, and that of the waits for starts, if there is no other. */
const DEFAULT_WAIT_MS = 120_000;
/** The same without the waits for stops and starts. */
const WAITLESS_DEADLINE_MS = 90_000;

export type SshDriverOptions = {
  /** Throws FleetError `machine-not-found` for an unknown machine. */
  readonly access: (machine: Machine) => Access;
  /** How long a started unit is watched before it counts as up, in ms. */
  readonly settleMs: number;
  /** {@link DEFAULT_WAIT} unless given. */
  readonly wait?: WaitPolicy;
  /** The voters of a registry on the machines, which every change stores on its machine for `fleetctl join`. */
  readonly voterPlaces?: () => readonly VoterPlace[];
  readonly paths?: MachinePaths;
};

/** The driver that runs scripts in `/bin/sh` on the machines, over any transport. */
export function createSshDriver(transport: Transport, options: SshDriverOptions): SystemdDriver {
  const {
    access: accessTo,
    settleMs,
    wait: { blocks, timeoutMs } = DEFAULT_WAIT,
    voterPlaces = () => [],
    paths = MACHINE_PATHS,
  } = options;
  const deadline = timeoutMs === undefined ? undefined : performance.now() + timeoutMs;
  const waits = (): Waits => ({
    blocks,
    ms: deadline === undefined ? undefined : Math.max(0, deadline - performance.now()),
    settleMs,
  });
  return {
    connect: (machine) => openSession(transport, accessTo(machine), { waits, voterPlaces, paths }),
    async journal(machine, request) {
      const access = accessTo(machine);
      const become = access.become === 'none' && request.sudo ? 'sudo' : access.become;
      const marker = randomBytes(16).toString('hex');
      const script = readJournalScript(marker, request);
      const process = await openRootShell(transport, { ...access, become }, script);
      return openJournal(access, process, { marker, most: journalBytes(request) });
    },
    close: () => transport.close(),
  };
}

type SessionOptions = Required<Pick<SshDriverOptions, 'voterPlaces' | 'paths'>> & {
  readonly waits: () => Waits;
};

function openSession(
  transport: Transport,
  access: Access,
  { waits, voterPlaces, paths }: SessionOptions,
): MachineSession {
  const { name } = access.ssh;
  const runner = new ScriptRunner(transport, access, paths);
  const ask = async <T>(query: Query<T>): Promise<T> => {
    const sections = await runner.run(query);
    try {
      return await query.read(sections, { name, paths, ask });
    } catch (error) {
      throw badAnswer(name, error);
    }
  };
  return {
    ask,
    async change(changes, clusterId, given) {
      const possible = changes.filter(({ obstacle }) => obstacle === undefined);
      const outcomes = new Map<string, UnitOutcome>();
      let lost: Failure | undefined;
      const sentAt = performance.now();
      const asked = withWindow(given ?? waits(), possible);
      const by = randomBytes(8).toString('hex');
      try {
        if (possible.length > 0)
          for (const outcome of await ask(
            changeQuery(possible, { clusterId, voters: voterPlaces() }, asked, by),
          ))
            outcomes.set(outcome.unit, outcome);
      } catch (error) {
        if (!isFleetError(error)) throw error;
        lost = unreachableFailure(error);
      }
      const confirming = {
        ask,
        again: inNewSession(transport, access, { waits, voterPlaces, paths }),
        sentAt,
        by,
        ...asked,
      };
      return Promise.all(
        changes.map((change) => {
          const { unit, obstacle: failure = lost } = change;
          const outcome = outcomes.get(unit) ?? { unit, machine: name, state: undefined, failure };
          return confirmed(outcome, change, confirming);
        }),
      );
    },
    ...(becomes(access) && { become: access.become }),
    ended: runner.ended,
    close: () => runner.close(),
  };
}

/** Work in a session over a new connection, which ends with it. */
function inNewSession(...[transport, ...rest]: Parameters<typeof openSession>): Confirming['again'] {
  return async (work) => {
    const fresh = transport.fresh();
    const session = openSession(fresh, ...rest);
    try {
      return await work(session.ask);
    } finally {
      session.close();
      await fresh.close();
    }
  };
}

/** A change that has to be confirmed is waited for as long as its window, with --no-block too. */
function withWindow(waits: Waits, changes: readonly UnitChange[]): Waits {
  const windowMs = Math.max(0, ...changes.map((change) => armOf(change)?.windowMs ?? 0));
  if (windowMs === 0) return waits;
  const isLonger = waits.ms !== undefined || windowMs > DEFAULT_WAIT_MS;
  return { ...waits, blocks: true, ms: isLonger ? Math.max(waits.ms ?? 0, windowMs) : undefined };
}

/** The query is not public, because unit files may contain secrets. */
function changeQuery(
  changes: readonly UnitChange[],
  owner: Owner,
  waits: Waits,
  by: string,
): Query<readonly UnitOutcome[]> {
  return {
    kind: 'change',
    request: changes,
    script: changeScript(changes, owner, waits, by),
    deadlineMs: waits.ms === undefined ? CHANGE_DEADLINE_MS : WAITLESS_DEADLINE_MS + waits.ms,
    read: async (sections, { name, ask }) => {
      const changed = changedUnits(
        changes.map(({ unit }) => unit),
        sections,
      );
      const all = changed.length === 0 ? sections : [...sections, ...(await ask(statesQuery(changed)))];
      return withJournals(readOutcomes(name, changes, all, waits.blocks), ask);
    },
  };
}

/** Adds the journals of units that failed to start or stop. */
async function withJournals(
  outcomes: readonly UnitOutcome[],
  ask: MachineSession['ask'],
): Promise<readonly UnitOutcome[]> {
  const shown = outcomes.filter(({ failure }) => hasJournal(failure)).map(({ unit }) => unit);
  if (shown.length === 0) return outcomes;
  const journals = await ask(journalsQuery(shown.slice(0, JOURNAL_UNITS))).catch((error: unknown) => {
    // The outcomes are known, even if the journals are not.
    if (isFleetError(error)) return new Map<string, readonly string[]>();
    throw error;
  });
  return outcomes.map((outcome) => {
    const journal = journals.get(outcome.unit);
    if (!hasJournal(outcome.failure) || journal === undefined) return outcome;
    return { ...outcome, failure: { ...outcome.failure, journal } };
  });
}

/** Whether the journal may explain the failure. */
function hasJournal(
  failure: Failure | undefined,
): failure is Extract<Failure, { code: 'not-up' | 'not-down' }> {
  if (failure?.code === 'not-down') return !failure.again && failure.detail === '';
  return failure?.code === 'not-up';
}
