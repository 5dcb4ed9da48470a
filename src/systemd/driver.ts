import type { UnitOutcome } from '../cluster/failure.ts';
import type { Machine } from '../machine/machine.ts';
import type { UnitChange } from '../plan/step.ts';
import type { Section } from './frame.ts';
import type { ShownUnits } from './glance.ts';
import type { JournalRequest, JournalStream } from './journal.ts';
import type { MachinePaths } from './machine-paths.ts';
import type { Phase } from './phases.ts';

/** What is asked of a machine beside the units fleet put there. */
export type ObserveRequest = {
  /** Units to report if systemd there knows them, whoever put them there. */
  readonly names: readonly string[];
  /** Whether to read every unit file and report its digest. */
  readonly digests: boolean;
  /** Whether to read every unit file whole, and every token: `backup` of the observation. */
  readonly backup?: boolean;
  /** Whether to tell the highest token that the machine has seen, also of units that were removed: `token`. */
  readonly token?: boolean;
  /** Whether to tell how busy the machine is: `vitals` of the observation. */
  readonly vitals?: boolean;
  /**
   * For observations that are repeated in one session: the units that were shown in it. The properties that systemd shows
   * of a unit that looks unchanged may then be two minutes old. The list of units, their files, whether they run and in
   * which run are always current.
   */
  readonly shown?: ShownUnits;
  /**
   * How long the answer is waited for, in ms; a second later, no tool that was asked for it runs any more on the machine.
   */
  readonly withinMs?: number;
};

/** A question to a machine: its script and the reader of its answer. Their functions are next to both. */
export type Query<T, Kind extends string = string, Request = unknown> = Phase & {
  readonly kind: Kind;
  /** The arguments that the script was made from. */
  readonly request: Request;
  /** What the answer says. An error that it throws is a failure of this machine. */
  readonly read: (sections: readonly Section[], from: Respondent) => T | Promise<T>;
};

/** The machine that has answered a query. */
export type Respondent = {
  readonly name: string;
  readonly paths: MachinePaths;
  /** For a query that depends on the answer to the last one. */
  readonly ask: MachineSession['ask'];
};

/**
 * A pass on one machine: one SSH exec, over which it is first read and then, perhaps, changed. It is a plain object, so that
 * another session can replace some of its members.
 */
export type MachineSession = {
  /** Rejects with a FleetError when the machine stops answering or its answer makes no sense. */
  readonly ask: <T>(query: Query<T>) => Promise<T>;
  /**
   * Makes the changes on behalf of `clusterId`. Resolves with one outcome a change, in their order: a failure
   * of one never hides another, and a connection that is lost on the way is an outcome too. Changes may have
   * been made even if their outcome is unknown; making them again is harmless.
   */
  readonly change: (changes: readonly UnitChange[], clusterId: string) => Promise<readonly UnitOutcome[]>;
  /** Resolves when the session is over, if it ever began: closed here or there, or lost. */
  readonly ended: Promise<void>;
  /** Ends the session; the connection stays with the transport. */
  readonly close: () => void;
};

/** The way to machines' systemd. */
export interface SystemdDriver {
  /**
   * A session with the machine, which begins with the first question and tells by its answer when the machine cannot be
   * reached. Throws FleetError `machine-not-found`, or the reason where it is known already that it cannot.
   */
  connect(machine: Machine): MachineSession;
  /** Starts to read a journal; rejects with a FleetError that tells why the machine cannot be reached. */
  journal(machine: Machine, request: JournalRequest): Promise<JournalStream>;
  /** Lets go of every connection. */
  close(): Promise<void>;
}

/** How long whoever changes units waits for what systemd does about it. */
export type Patience = {
  /** False: jobs are handed to systemd, and what becomes of them is not looked at. */
  readonly blocks: boolean;
  /**
   * How long all waits together may take, in ms, from when the driver is made; undefined for two minutes for the
   * stops of a machine and two for its starts.
   */
  readonly timeoutMs: number | undefined;
};

/** Waits until it is done, or for what counts as stuck. */
export const PATIENT: Patience = { blocks: true, timeoutMs: undefined };
