import type { MachineView } from '../cluster/snapshot.ts';
import type { Machine, MachineId } from '../machine/machine.ts';

/** A machine as people are shown it: `148a18ff.../10.10.1.1`. */
export type MachineRef = {
  readonly name: string;
  readonly id: MachineId | undefined;
  readonly address: string;
};

export function machineRef({ machine, id }: Pick<MachineView, 'id'> & { machine: Machine }): MachineRef {
  return { name: machine.name, id, address: machine.address };
}
