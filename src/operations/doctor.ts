import { type FleetError, isFleetError } from '../base/errors.ts';
import { type Machine, parseMachineId } from '../machine/machine.ts';
import type { Ports } from '../reconcile/ports.ts';
import { clusterMachines } from '../registry/inventory.ts';
import { type Registry, withWholeViews } from '../registry/registry.ts';
import { RegistryView } from '../registry/view.ts';
import type { Login } from '../ssh/transport.ts';
import { type Examination, examineQuery } from '../systemd/examination.ts';
import { type CheckResult, type HealthInput, judge } from './checks.ts';
import { findMachine } from './find-machine.ts';
import { type MachineRef, machineRef } from './listing.ts';

/** The check results of one machine. */
export type MachineHealth = {
  readonly machine: MachineRef;
  readonly checks: readonly CheckResult[];
};

/** The ports of {@link doctor}. */
export type Examiner = Ports & {
  login(machine: Machine): Promise<Login>;
  userOf(machine: Machine): string;
};

/** True if all checks of a machine are ok. */
export function isHealthy({ checks }: MachineHealth): boolean {
  return checks.every(({ status }) => status === 'ok');
}

/**
 * Checks the named machines, or all, in parallel: one connection and one script each. `emit` gets each result when it is
 * complete, so that a machine that hangs does not delay the others, and again if a later machine has the same id.
 * Resolves in the order of fleet.conf. Rejects with FleetError `machine-not-found` or `usage` for a name that matches no
 * machine or several, and with `local` for a problem of this computer.
 */
export async function doctor(
  examiner: Examiner,
  names: readonly string[],
  emit: (health: MachineHealth) => Promise<void>,
): Promise<readonly MachineHealth[]> {
  const registry = await examiner.registry.load();
  const named = await Promise.all(names.map((text) => findMachine(examiner, { kind: 'machine', text })));
  const wanted = new Set(named.map(({ name }) => name));
  const machines = clusterMachines(registry, examiner.machines).filter(
    ({ name }) => wanted.size === 0 || wanted.has(name),
  );
  // Id → the first machine that answered with it.
  const firsts = new Map<string, string>();
  const sights = await Promise.all(
    machines.map(async (machine) => {
      const sight = await lookAt(examiner, machine, registry);
      const { id } = sight;
      const sameId = id === undefined ? undefined : firsts.get(id);
      if (id !== undefined && sameId === undefined) firsts.set(id, machine.name);
      await emit(healthOf(sight, sameId));
      return { ...sight, sameId };
    }),
  );
  return Promise.all(
    sights.map(async (sight): Promise<MachineHealth> => {
      if (sight.sameId !== undefined) return healthOf(sight, sight.sameId);
      const later = sights.find(
        ({ id, sameId }) => id !== undefined && id === sight.id && sameId === sight.machine.name,
      );
      const health = healthOf(sight, later?.machine.name);
      if (later !== undefined) await emit(health);
      return health;
    }),
  );
}

/** A registry that can be read: an empty one, with the error, if the given one cannot. Rejects for a problem of this computer. */
export async function readable(
  registry: Registry,
): Promise<{ readonly registry: Registry; readonly error?: FleetError }> {
  const error = await resultOrFailure(() => registry.load());
  if (!(error instanceof Error)) return { registry };
  return {
    registry: withWholeViews({ ...registry, read: async (use) => use(new RegistryView(0, [])) }),
    error,
  };
}

/** All that was learned about one machine. */
type Sight = Omit<HealthInput, 'sameId'> & {
  readonly machine: Machine;
  /** The id in its answer, if it is valid. */
  readonly id: string | undefined;
};

function healthOf({ machine, known, ...sight }: Sight, sameId: string | undefined): MachineHealth {
  return {
    machine: machineRef({ machine, id: sight.id ?? known }),
    checks: judge({ ...sight, known, sameId }),
  };
}

async function lookAt(examiner: Examiner, machine: Machine, registry: RegistryView): Promise<Sight> {
  const known = registry.machines.get(machine.name)?.id;
  const login = await resultOrFailure(() => examiner.login(machine));
  const { clusterId } = registry;
  const sight = { machine, known, user: examiner.userOf(machine), login, clusterId };
  if (login instanceof Error) return { ...sight, id: undefined, examination: undefined, offsetSeconds: 0 };
  const before = examiner.clock.now();
  const examination = await resultOrFailure(() => examine(examiner, machine));
  if (examination instanceof Error) return { ...sight, id: undefined, examination, offsetSeconds: 0 };
  const offsetSeconds = offset(examination.clock, before, examiner.clock.now());
  return { ...sight, id: parseMachineId(examination.machineId), examination, offsetSeconds };
}

async function examine({ driver }: Examiner, machine: Machine): Promise<Examination> {
  const session = driver.connect(machine);
  return session.ask(examineQuery()).finally(() => session.close());
}

/** The result of `work`, or its FleetError about the machine or the registry. */
async function resultOrFailure<T>(work: () => Promise<T>): Promise<T | FleetError> {
  try {
    return await work();
  } catch (error) {
    if (isFleetError(error) && error.code !== 'local') return error;
    throw error;
  }
}

/** The offset of a clock in seconds, which was read between `before` and `after` (epoch ms); 0 within that range. */
function offset(clock: number | undefined, before: number, after: number): number | undefined {
  if (clock === undefined) return undefined;
  const earliest = Math.floor(before / 1000);
  const latest = Math.floor(after / 1000);
  return clock < earliest ? clock - earliest : clock > latest ? clock - latest : 0;
}
