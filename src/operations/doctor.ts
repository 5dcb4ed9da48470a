import { type FleetError, isFleetError } from '../base/errors.ts';
import type { Machine } from '../machine/machine.ts';
import { parseMachineId } from '../machine/machine-id.ts';
import type { Edges } from '../reconcile/reconcile.ts';
import type { RegistryView } from '../registry/view.ts';
import type { Login } from '../ssh/transport.ts';
import type { Examination } from '../systemd/examination.ts';
import { type CheckResult, judge } from './checks.ts';
import { findMachine } from './find-machine.ts';
import { type MachineRef, machineRef } from './machine-ref.ts';

/** How one machine is, check by check. */
export type MachineHealth = {
  readonly machine: MachineRef;
  readonly checks: readonly CheckResult[];
};

/** The way to log in to machines, beside what a pass works with. */
export type Examiner = Pick<Edges, 'driver' | 'clock' | 'registry' | 'machines'> & {
  login(machine: Machine): Promise<Login>;
  userOf(machine: Machine): string;
};

/** True when every check of a machine that could be made is well. */
export function isHealthy({ checks }: MachineHealth): boolean {
  return checks.every(({ status }) => status === 'ok');
}

/**
 * Looks at the machines that are named, or at all, side by side: one connection and one script each. `tell` gets
 * each when it is done, so that one that hangs holds up nobody. Resolves in the order of fleet.conf. Rejects with
 * FleetError `machine-not-found` or `usage` for a name that means none or several.
 */
export async function doctor(
  examiner: Examiner,
  find: (name: string) => Promise<Machine>,
  names: readonly string[],
  tell: (health: MachineHealth) => void,
): Promise<readonly MachineHealth[]> {
  const registry = await examiner.registry.load();
  const named = await Promise.all(names.map(find));
  const wanted = new Set(named.map(({ name }) => name));
  const machines = examiner.machines.filter(({ name }) => wanted.size === 0 || wanted.has(name));
  return Promise.all(
    machines.map(async (machine) => {
      const health = await examine(examiner, machine, registry);
      tell(health);
      return health;
    }),
  );
}

/** {@link doctor} finds machines as other commands do. */
export function finder(edges: Edges): (name: string) => Promise<Machine> {
  return (text) => findMachine(edges, { kind: 'machine', text });
}

async function examine(examiner: Examiner, machine: Machine, registry: RegistryView): Promise<MachineHealth> {
  const known = registry.machines.get(machine.name)?.id;
  const login = await attempt(() => examiner.login(machine));
  const sight = { user: examiner.userOf(machine), login, clusterId: registry.clusterId };
  if (login instanceof Error) {
    const checks = judge({ ...sight, examination: undefined, offsetSeconds: 0 });
    return { machine: machineRef({ machine, id: known }), checks };
  }
  const before = examiner.clock.now();
  const examination = await attempt(() => lookAt(examiner, machine));
  const offsetSeconds =
    examination instanceof Error ? 0 : offset(examination.clock, before, examiner.clock.now());
  const id = examination instanceof Error ? known : (parseMachineId(examination.machineId) ?? known);
  const checks = judge({ ...sight, examination, offsetSeconds });
  return { machine: machineRef({ machine, id }), checks };
}

async function lookAt({ driver }: Examiner, machine: Machine): Promise<Examination> {
  const session = await driver.connect(machine);
  try {
    return await session.examine();
  } finally {
    session.close();
  }
}

/** What work came to, or its FleetError. */
async function attempt<T>(work: () => Promise<T>): Promise<T | FleetError> {
  try {
    return await work();
  } catch (error) {
    if (isFleetError(error)) return error;
    throw error;
  }
}

/** A machine told whole seconds, at some time between `before` and `after`, in epoch ms: 0 within that. */
function offset(clock: number | undefined, before: number, after: number): number {
  if (clock === undefined) return 0;
  const earliest = Math.floor(before / 1000);
  const latest = Math.floor(after / 1000);
  return clock < earliest ? clock - earliest : clock > latest ? clock - latest : 0;
}
