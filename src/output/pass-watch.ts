import type { Failure } from '../cluster/failure.ts';
import type { PassEvent, PlannedChange } from '../reconcile/events.ts';

/** Something that is waited for: an answer of a machine, or the changes it was sent. */
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

/** Where a pass stands, from what it tells. Times are of one clock, whichever, in ms. */
export class PassWatch {
  /** Whether there is a pass at all: listings only ask. */
  hasBegun: boolean = false;
  /** By machine: each does one thing at a time. */
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
