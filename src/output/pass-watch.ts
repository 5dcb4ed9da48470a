import type { Failure } from '../cluster/failure.ts';
import type { PassEvent, PlannedChange } from '../reconcile/events.ts';
import { failureText } from './failure.ts';

/** Something that a pass waits for: an answer of a machine, or the changes that were sent to it. */
export type Wait = {
  readonly machine: string;
  /** Empty while the machine is only asked. */
  readonly changes: readonly PlannedChange[];
  readonly sinceMs: number;
};

/** How far one unit on one machine has come. */
export type Standing = {
  readonly machine: string;
  readonly unit: string;
  readonly stage: 'planned' | 'sent' | 'done' | 'failed';
  readonly failure: Failure | undefined;
};

/** The progress of a pass, from its events. Times are of any one clock, in ms. */
export class PassWatch {
  /** Whether a pass has begun; listings only observe. */
  hasBegun: boolean = false;
  /** By machine, because each does one thing at a time. */
  readonly #waits = new Map<string, Wait>();
  readonly #standings = new Map<string, Standing>();

  get waits(): readonly Wait[] {
    return [...this.#waits.values()];
  }

  get standings(): readonly Standing[] {
    return [...this.#standings.values()];
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
      case 'machine-silent':
        this.#waits.delete(event.machine);
        break;
      case 'wave-begun':
        this.#waits.clear();
        break;
      case 'planned':
        for (const { machine, changes } of event.waves.flat()) this.#stand(machine, changes, 'planned');
        break;
      case 'changes-sent': {
        const { machine } = event;
        const changes = event.changes.filter(({ obstacle }) => obstacle === undefined);
        this.#stand(machine, changes, 'sent');
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

  #stand(machine: string, changes: readonly PlannedChange[], stage: Standing['stage']): void {
    for (const { unit } of changes) this.#put({ machine, unit, stage, failure: undefined });
  }

  #put(standing: Standing): void {
    this.#standings.set(`${standing.machine} ${standing.unit}`, standing);
  }
}

/** The last words of an interrupted command: what is done, what continues without it, and what never began. */
export function interruptionLines(watch: PassWatch, dryRun: boolean): readonly string[] {
  if (dryRun) return ['Interrupted. Nothing was changed.'];
  if (!watch.hasBegun) return ['Interrupted.'];
  const { standings } = watch;
  const told = standings.some(({ stage }) => stage !== 'planned');
  const failed = standings.filter(({ stage }) => stage === 'failed');
  return [
    told
      ? 'Interrupted. Machines complete the work that they have received.'
      : 'Interrupted before any machine was changed. The registry has what was asked for.',
    ...byMachine('Done', standings, 'done'),
    ...failed.map(failedLine),
    ...byMachine('Under way', standings, 'sent'),
    ...byMachine('Not begun', standings, 'planned'),
    'hint: See where it stands: fleetctl list-units; the same command again does the rest',
  ];
}

/** `Done on "m1": a.service b.service` */
function byMachine(
  word: string,
  standings: readonly Standing[],
  stage: Standing['stage'],
): readonly string[] {
  const units = new Map<string, string[]>();
  for (const { machine, unit } of standings.filter((each) => each.stage === stage))
    units.set(machine, [...(units.get(machine) ?? []), unit]);
  return [...units].map(([machine, names]) => `${word} on "${machine}": ${names.join(' ')}`);
}

function failedLine({ machine, unit, failure }: Standing): string {
  const why = failure === undefined ? '' : `: ${failureText(failure).summary}`;
  return `Failed on "${machine}": ${unit}${why}`;
}
