import type { UnitOutcome } from '../cluster/failure.ts';
import type { Lease } from '../cluster/lease.ts';
import type { Observation } from '../cluster/snapshot.ts';
import type { Machine } from '../machine/machine.ts';
import type { UnitChange } from '../plan/step.ts';
import type { Examination } from './examination.ts';
import type { JournalRequest, JournalStream } from './journal.ts';
import type { VerifyRequest } from './verification.ts';

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
   * For who asks again and again in one session: whether what systemd tells of a unit that looks unchanged may be as
   * old as two minutes. Which units there are, their files, whether they run and in which run is always as of now.
   */
  readonly sparing?: boolean;
  /**
   * How long the answer is waited for, in ms; a second later, no tool that was asked for it runs any more on the machine.
   */
  readonly withinMs?: number;
};

/** A pass on one machine: one SSH exec, over which it is first read and then, perhaps, changed. */
export interface MachineSession {
  /** Rejects with a FleetError when the machine stops answering or its answer makes no sense. */
  observe(request: ObserveRequest): Promise<Observation>;
  /**
   * Makes the changes on behalf of `clusterId`. Resolves with one outcome a change, in their order: a failure
   * of one never hides another, and a connection that is lost on the way is an outcome too. Changes may have
   * been made even if their outcome is unknown; making them again is harmless.
   */
  change(changes: readonly UnitChange[], clusterId: string): Promise<readonly UnitOutcome[]>;
  /**
   * Extends the lease of the machine up to that deadline; false when it is past there, or the machine has rebooted.
   * Rejects as {@link observe} does.
   */
  extend(lease: Lease): Promise<boolean>;
  /**
   * What `systemctl status` prints of each unit, with up to `lines` lines of its journal, in the order of `units`.
   * Rejects as {@link observe} does.
   */
  status(units: readonly string[], lines: number): Promise<readonly string[]>;
  /**
   * What systemd there has against unit files that are not there yet, a line each. They are put into a folder of
   * their own for that. Rejects as {@link observe} does.
   */
  verify(request: VerifyRequest): Promise<readonly string[]>;
  /** Resolves when the session is over, if it ever began: closed here or there, or lost. */
  readonly ended: Promise<void>;
  /** How the machine is: everything that fleet needs of it. Rejects as {@link observe} does. */
  examine(): Promise<Examination>;
  /** Ends the session; the connection stays with the transport. */
  close(): void;
}

/** The way to machines' systemd. */
export interface SystemdDriver {
  /**
   * A session with the machine, which begins with the first question and tells by its answer when the machine cannot be
   * reached. Rejects with FleetError `machine-not-found`, or where it is known already that it cannot.
   */
  connect(machine: Machine): Promise<MachineSession>;
  /** Starts to read a journal; rejects with a FleetError that tells why the machine cannot be reached. */
  journal(machine: Machine, request: JournalRequest): Promise<JournalStream>;
  /** Lets go of every connection. */
  close(): Promise<void>;
}
