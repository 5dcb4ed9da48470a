import { groupBy } from '../base/group-by.ts';
import type { Failure } from '../cluster/failure.ts';
import type { PassEvent, PlannedChange } from '../reconcile/events.ts';
import { failureText } from './failure.ts';
import { formatRemaining } from './format.ts';

/** A wait of a pass for a machine: for its answer, or for the changes that were sent to it. */
export type Wait = {
  readonly machine: string;
  /** Empty for a query. */
  readonly changes: readonly PlannedChange[];
  readonly sinceMs: number;
};

/** The progress of one unit on one machine. */
export type UnitProgress = {
  readonly machine: string;
  readonly unit: string;
  readonly stage: 'planned' | 'sent' | 'done' | 'failed';
  readonly failure: Failure | undefined;
  /** When its machine reverts it, unless it is confirmed before (`Confirm=`). */
  readonly revertsAtMs?: number | undefined;
};

/** The progress of a pass, from its events. All times are of the same clock, in ms. */
export class PassWatch {
  /** Whether a pass has begun; listings only observe. */
  hasBegun: boolean = false;
  /** By machine, because each has one script at a time. */
  readonly #waits = new Map<string, Wait>();
  /** Waits for voters of the registry, which may overlap with those of the pass. */
  #voters: ReadonlyMap<string, Wait> = new Map();
  readonly #progress = new Map<string, UnitProgress>();

  get waits(): readonly Wait[] {
    return [...new Map([...this.#voters, ...this.#waits]).values()];
  }

  get progress(): readonly UnitProgress[] {
    return [...this.#progress.values()];
  }

  /** The machines that a read or a change of the registry waits for now. */
  noteVoters(machines: readonly string[], nowMs: number): void {
    this.#voters = new Map(
      machines.map((machine) => [
        machine,
        this.#voters.get(machine) ?? { machine, changes: [], sinceMs: nowMs },
      ]),
    );
  }

  note(event: PassEvent, nowMs: number): void {
    switch (event.kind) {
      case 'pass-begun':
        this.hasBegun = true;
        break;
      case 'machine-asked':
        this.#waits.set(event.machine, { machine: event.machine, changes: [], sinceMs: nowMs });
        break;
      case 'machine-answered':
      case 'machine-unreachable':
        this.#waits.delete(event.machine);
        break;
      case 'wave-begun':
        this.#waits.clear();
        break;
      case 'planned':
        for (const { machine, changes } of event.waves.flat())
          for (const { unit } of changes) this.#put({ machine, unit, stage: 'planned', failure: undefined });
        break;
      case 'changes-sent': {
        const { machine } = event;
        const changes = event.changes.filter(({ obstacle }) => obstacle === undefined);
        for (const { unit, confirmMs } of changes) {
          const revertsAtMs = confirmMs && nowMs + confirmMs;
          this.#put({ machine, unit, stage: 'sent', failure: undefined, revertsAtMs });
        }
        if (changes.length > 0) this.#waits.set(machine, { machine, changes, sinceMs: nowMs });
        break;
      }
      case 'outcome': {
        const { machine, unit, failure } = event;
        this.#waits.delete(machine);
        this.#put({ machine, unit, stage: failure === undefined ? 'done' : 'failed', failure });
        break;
      }
    }
  }

  #put(entry: UnitProgress): void {
    this.#progress.set(`${entry.machine} ${entry.unit}`, entry);
  }
}

/** The report of an interrupted command: changes that are done, that continue without it, and that were not begun. */
export function interruptionLines(watch: PassWatch, dryRun: boolean, nowMs: number): readonly string[] {
  if (dryRun) return ['Interrupted. Nothing was changed.'];
  if (!watch.hasBegun) return ['Interrupted.'];
  const { progress } = watch;
  const wasSent = progress.some(({ stage }) => stage !== 'planned');
  const failed = progress.filter(({ stage }) => stage === 'failed');
  const unconfirmed = progress.filter(({ revertsAtMs }) => revertsAtMs !== undefined);
  const retry = unconfirmed.length === 0 ? '' : ', with --retry after a revert';
  return [
    wasSent
      ? 'Interrupted. Machines complete the work that they have received.'
      : 'Interrupted before any machine was changed. The request is stored in the registry.',
    ...byMachine('Done', progress, 'done'),
    ...failed.map(failedLine),
    ...byMachine('In progress', progress, 'sent'),
    ...unconfirmed.map((each) => unconfirmedLine(each, nowMs)),
    ...byMachine('Not started', progress, 'planned'),
    `hint: To see the state: fleetctl list-units; to continue, run the same command again${retry}`,
  ];
}

/** `Done on "m1": a.service b.service` */
function byMachine(
  word: string,
  progress: readonly UnitProgress[],
  stage: UnitProgress['stage'],
): readonly string[] {
  const there = progress.filter((each) => each.stage === stage);
  return [...groupBy(there, ({ machine }) => machine)].map(
    ([machine, each]) => `${word} on "${machine}": ${each.map(({ unit }) => unit).join(' ')}`,
  );
}

function unconfirmedLine({ machine, unit, revertsAtMs = 0 }: UnitProgress, nowMs: number): string {
  return `Not confirmed on "${machine}": ${unit}; the machine reverts it ${formatRemaining(revertsAtMs - nowMs)}, unless fleetd runs this command and confirms it`;
}

function failedLine({ machine, unit, failure }: UnitProgress): string {
  const why = failure === undefined ? '' : `: ${failureText(failure).summary}`;
  return `Failed on "${machine}": ${unit}${why}`;
}
