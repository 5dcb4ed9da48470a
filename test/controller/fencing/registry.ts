import type { DesiredUnit } from '../../../src/cluster/snapshot.ts';
import type { Machine } from '../../../src/machine/machine.ts';
import { desiredUnit } from '../../support/builders.ts';
import { STOP_MS } from './machine.ts';

const FLEET = 'Fenced=true\nMachineMetadata=fits=yes';
const UNIT = desiredUnit('a.service', FLEET, {
  target: 'inactive',
  text: `[Service]\nTimeoutStopSec=${STOP_MS}ms\nExecStart=/bin/a\n[X-Fleet]\n${FLEET}\n`,
});

/** A registry with one unit; every change of it is one step. And fleet.conf, which says what machines it fits. */
export class SimRegistry {
  revision = 1;
  readonly unfit = new Set<string>();
  #unit: DesiredUnit | undefined;

  /** The unit, or none when it was destroyed. */
  get units(): readonly DesiredUnit[] {
    return this.#unit === undefined ? [] : [this.#unit];
  }

  /** Changes the unit, or submits it. */
  put(change: Partial<Pick<DesiredUnit, 'machine' | 'target'>>): void {
    this.revision++;
    this.#unit = { ...(this.#unit ?? UNIT), ...change, token: this.revision };
  }

  remove(): void {
    this.revision++;
    this.#unit = undefined;
  }

  machine(name: string): Machine {
    return { name, address: '10.0.0.1', metadata: { fits: this.unfit.has(name) ? 'no' : 'yes' } };
  }
}
