import { randomBytes } from 'node:crypto';
import { FleetError, isFleetError } from '../base/errors.ts';
import type { Failure, UnitOutcome } from '../cluster/failure.ts';
import type { Lease } from '../cluster/lease.ts';
import { unreachable } from '../cluster/silence.ts';
import type { Observation } from '../cluster/snapshot.ts';
import { badAnswer, type Limit } from '../machine/limits.ts';
import type { Machine } from '../machine/machine.ts';
import type { UnitChange } from '../plan/step.ts';
import type { Access } from '../ssh/become.ts';
import { openRootShell } from '../ssh/root-shell.ts';
import type { Transport } from '../ssh/transport.ts';
import { changeScript } from './change-script.ts';
import type { Waits } from './change-words.ts';
import type { MachineSession, ObserveRequest, SystemdDriver } from './driver.ts';
import { type Examination, readExamination } from './examination.ts';
import type { Section } from './frame.ts';
import { readLooks, ShownUnits } from './glance.ts';
import { journalBytes, readJournalScript } from './journal.ts';
import { openJournal } from './journal-stream.ts';
import { MACHINE_PATHS, type MachinePaths } from './machine-paths.ts';
import { PATIENT, type Patience } from './patience.ts';
import { Phases } from './phases.ts';
import {
  bootTime,
  notUsable,
  readAsked,
  readExtension,
  readObservation,
  readShown,
} from './read-observation.ts';
import { readOutcomes } from './read-outcomes.ts';
import {
  examineScript,
  extendScript,
  journalScript,
  observeScript,
  showScript,
  statusScript,
  verifyScript,
} from './script.ts';
import type { ShownUnit } from './show.ts';
import { readVerification, type VerifyRequest } from './verification.ts';

/** How many journal lines of a unit that did not start are shown. */
const JOURNAL_LINES = 10;
/** Of how many such units, on one machine. */
const JOURNAL_UNITS = 20;

/** How long a machine may take to describe itself, in ms; systemctl itself gives up on systemd after 25 s. */
const OBSERVE_DEADLINE_MS = 30_000;
/** How long changes may take, in ms: two waits for the lock, one for stops and one for starts, and then some. */
const CHANGE_DEADLINE_MS = 330_000;
/** The same without the waits for stops and starts. */
const WAITLESS_DEADLINE_MS = 90_000;

export type SshDriverOptions = {
  /** Access by the machine's name in fleet.conf. */
  readonly access: ReadonlyMap<string, Access>;
  /** How long a started unit is watched before it counts as up, in ms. */
  readonly settleMs: number;
  /** {@link PATIENT} unless given. */
  readonly patience?: Patience;
  readonly paths?: MachinePaths;
};

/** The driver that speaks to `/bin/sh` on the machines over any transport. */
export function createSshDriver(transport: Transport, options: SshDriverOptions): SystemdDriver {
  const accessTo = ({ name }: Machine): Access => {
    const access = options.access.get(name);
    if (access === undefined) throw new FleetError('machine-not-found', `No such machine: "${name}"`);
    return access;
  };
  const { settleMs, patience: { blocks, timeoutMs } = PATIENT, paths = MACHINE_PATHS } = options;
  const deadline = timeoutMs === undefined ? undefined : performance.now() + timeoutMs;
  const waits = (): Waits => ({
    blocks,
    ms: deadline === undefined ? undefined : Math.max(0, deadline - performance.now()),
    settleMs,
  });
  return {
    async connect(machine) {
      return new SshSession(transport, accessTo(machine), waits, paths);
    },
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

class SshSession implements MachineSession {
  readonly #access: Access;
  readonly #waits: () => Waits;
  readonly #paths: MachinePaths;
  readonly #phases: Phases;
  readonly #shown = new ShownUnits();

  constructor(transport: Transport, access: Access, waits: () => Waits, paths: MachinePaths) {
    this.#access = access;
    this.#waits = waits;
    this.#paths = paths;
    this.#phases = new Phases(transport, access, paths);
  }

  get ended(): Promise<void> {
    return this.#phases.ended;
  }

  async observe(request: ObserveRequest): Promise<Observation> {
    const { name } = this.#access.ssh;
    const sections = await this.#read(observeScript(request), request.backup ? 'text' : 'answer');
    return this.#judge(async () => {
      const shown = request.sparing ? await this.#showChanged(sections) : undefined;
      return readObservation(name, request, sections, shown);
    });
  }

  async change(changes: readonly UnitChange[], clusterId: string): Promise<readonly UnitOutcome[]> {
    const possible = changes.filter(({ obstacle }) => obstacle === undefined);
    const outcomes = possible.length === 0 ? [] : await this.#tryChange(possible, clusterId);
    const byUnit = new Map(outcomes.map((outcome) => [outcome.unit, outcome]));
    return changes.map(
      ({ unit, obstacle }) =>
        byUnit.get(unit) ?? { unit, machine: this.#access.ssh.name, state: undefined, failure: obstacle },
    );
  }

  async extend(lease: Lease): Promise<boolean> {
    const sections = await this.#read(extendScript(lease));
    return this.#judge(() => readExtension(this.#access.ssh.name, sections));
  }

  async status(units: readonly string[], lines: number): Promise<readonly string[]> {
    const sections = await this.#read(statusScript(units, lines), 'text');
    return units.map((_, index) => {
      const section = sections.find(({ name }) => name === `status:${index}`);
      if (section === undefined)
        throw notUsable(this.#access.ssh.name, 'its answer lacks the status of a unit', undefined);
      return section.stdout || section.stderr;
    });
  }

  async verify(request: VerifyRequest): Promise<readonly string[]> {
    const sections = await this.#send(verifyScript(request), OBSERVE_DEADLINE_MS);
    return this.#judge(() => readVerification(request, sections));
  }

  async examine(): Promise<Examination> {
    const sections = await this.#read(examineScript());
    const { units, state, run } = this.#paths;
    return this.#judge(() => readExamination(this.#access.ssh.name, sections, [units, state, run]));
  }

  close(): void {
    this.#phases.close();
  }

  /** What systemd tells of all units, of which only those are asked for that do not look as they did. */
  async #showChanged(glance: readonly Section[]): Promise<readonly ShownUnit[]> {
    const units = readAsked(glance);
    const looks = readLooks(glance);
    const now = performance.now();
    const missing = this.#shown.missing(units, looks, now);
    if (missing.length > 0) {
      const sections = await this.#read(showScript(missing));
      const shown = readShown(this.#access.ssh.name, sections, bootTime(glance));
      this.#shown.learn(missing, looks, shown, now);
    }
    return this.#shown.keep(units);
  }

  async #tryChange(changes: readonly UnitChange[], clusterId: string): Promise<readonly UnitOutcome[]> {
    const waits = this.#waits();
    const deadlineMs = waits.ms === undefined ? CHANGE_DEADLINE_MS : WAITLESS_DEADLINE_MS + waits.ms;
    try {
      const sections = await this.#send(changeScript(changes, clusterId, waits), deadlineMs);
      const outcomes = await this.#judge(() =>
        readOutcomes(this.#access.ssh.name, changes, sections, waits.blocks),
      );
      return await this.#withJournals(outcomes);
    } catch (error) {
      if (!isFleetError(error)) throw error;
      const failure = unreachable(error);
      return changes.map(({ unit }) => ({ unit, machine: this.#access.ssh.name, state: undefined, failure }));
    }
  }

  /** Adds what the units that did not come up or go down wrote to the journal meanwhile. */
  async #withJournals(outcomes: readonly UnitOutcome[]): Promise<readonly UnitOutcome[]> {
    const shown = outcomes.filter(({ failure }) => hasJournal(failure)).map(({ unit }) => unit);
    if (shown.length === 0) return outcomes;
    const script = journalScript(shown.slice(0, JOURNAL_UNITS), JOURNAL_LINES);
    // What became of the units is known, even if their journals are out of reach.
    const sections = await this.#read(script).catch((error: unknown) => {
      if (!isFleetError(error)) throw error;
      return [];
    });
    return outcomes.map((outcome) => {
      const section = sections.find(({ name }) => name === `journal:${shown.indexOf(outcome.unit)}`);
      if (!hasJournal(outcome.failure) || section === undefined) return outcome;
      const journal = section.stdout.split('\n').filter((line) => line !== '');
      return { ...outcome, failure: { ...outcome.failure, journal } };
    });
  }

  #read(script: string, most: Limit = 'answer'): Promise<readonly Section[]> {
    return this.#phases.run({ script, deadlineMs: OBSERVE_DEADLINE_MS, isPublic: true, most });
  }

  /** What an answer says. One that cannot be read is a failure of this machine, whatever its reader threw. */
  async #judge<T>(read: () => T | Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      throw badAnswer(this.#access.ssh.name, error);
    }
  }

  /** For scripts with the texts of units, which may hold what others on the machine must not see. */
  #send(script: string, deadlineMs: number): Promise<readonly Section[]> {
    return this.#phases.run({ script, deadlineMs, isPublic: false });
  }
}

/** Whether the journal may tell more about it. */
function hasJournal(
  failure: Failure | undefined,
): failure is Extract<Failure, { code: 'not-up' | 'not-down' }> {
  if (failure?.code === 'not-down') return !failure.again && failure.detail === '';
  return failure?.code === 'not-up';
}
