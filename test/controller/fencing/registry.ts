import type { DesiredUnit } from '../../../src/cluster/snapshot.ts';
import type { Machine } from '../../../src/machine/machine.ts';
import { desiredUnit } from '../../support/builders.ts';

const UNIT = desiredUnit('a.service', 'Fenced=true\nMachineMetadata=fits=yes', {
  text: '[Service]\nTimeoutStopSec=1\nExecStart=/bin/a\n[X-Fleet]\nFenced=true\nMachineMetadata=fits=yes\n',
});

/** A registry with one unit; every change of it is one step. And fleet.conf, which says what machines it fits. */
export class SimRegistry {
  revision = 1;
  unit: DesiredUnit = { ...UNIT, machine: undefined, token: 1 };
  readonly unfit = new Set<string>();

  put(change: Partial<Pick<DesiredUnit, 'machine' | 'target'>>): void {
    this.revision++;
    this.unit = { ...this.unit, ...change, token: this.revision };
  }

  machine(name: string): Machine {
    return { name, address: '10.0.0.1', metadata: { fits: this.unfit.has(name) ? 'no' : 'yes' } };
  }
}
