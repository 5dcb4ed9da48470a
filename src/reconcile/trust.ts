import { quoted } from '../base/visible.ts';
import { isToken, MAX_TOKEN, type MachineView, type Observation, type Token } from '../cluster/snapshot.ts';
import { formatMachineId, type MachineId } from '../machine/machine.ts';
import type { RegistryView } from '../registry/view.ts';
import { unitNameProblem } from '../unit/unit-name.ts';

/** The registry's data about machines. */
export type KnownMachines = Pick<RegistryView, 'machines'> &
  Partial<Pick<RegistryView, 'clusterId' | 'hasUnitsOn' | 'removed'>>;

/** The reason why a machine that answers is not used. */
type Objection = { readonly message: string; readonly hint: string };

/**
 * The machines, where one that answers and contradicts the registry is unusable, like one that does not answer. It keeps
 * the id that the registry has for its name, so no unit leaves it. `now` is epoch ms.
 */
export function trustedViews(
  views: readonly MachineView[],
  registry: KnownMachines,
  now: number,
): readonly MachineView[] {
  const marks = [...registry.machines].flatMap(([name, { ahead }]) =>
    ahead === undefined ? [] : [[name, ahead] as const],
  );
  return withoutAhead(identifiedViews(views, registry, now), new Map(marks), now);
}

/** Like {@link trustedViews}, but without the recorded tokens: checks only ids, exclusions and ranges. */
export function identifiedViews(
  views: readonly MachineView[],
  registry: KnownMachines,
  now: number,
): readonly MachineView[] {
  const { machines } = registry;
  const bound = new Map([...machines].flatMap(([name, { id }]) => (id === undefined ? [] : [[name, id]])));
  const identities = new Identities(views, bound);
  return views.map((view) => {
    const { name } = view.machine;
    const id = bound.get(name) ?? (identities.isTaken(view) ? undefined : view.id);
    if (view.observation === undefined) return { ...view, id };
    const objection =
      (machines.get(name)?.distrusted === true ? excluded(name) : undefined) ??
      identities.objection(name, view.observation.id) ??
      claimed(name, view.observation, registry) ??
      cachedRecordObjection(name, view.observation);
    return objection === undefined
      ? view
      : unusable({ machine: view.machine, id: bound.get(name) }, objection, now);
  });
}

/** The machines, where those in `ahead` are unusable: they have tokens that the registry had not issued. */
export function withoutAhead(
  views: readonly MachineView[],
  ahead: ReadonlyMap<string, Token>,
  now: number,
): readonly MachineView[] {
  return views.map((view) => {
    const { name } = view.machine;
    const token = ahead.get(name);
    if (token === undefined || view.observation === undefined) return view;
    const message = `Machine "${name}" has revision ${token}, which the registry has not issued`;
    const hint = `If the registry is an old backup, restore a newer one; if the machine is wrong: fleetctl machines distrust ${name}`;
    return unusable(view, { message, hint }, now);
  });
}

/** The machine as one that answers but cannot be used. */
export function unusable(
  { machine, id }: Pick<MachineView, 'machine' | 'id'>,
  objection: Objection,
  now: number,
): MachineView {
  return { machine, id, unreachable: { since: now, code: 'machine-untrusted', ...objection } };
}

function excluded(name: string): Objection {
  return {
    message: `Machine "${name}" is not trusted: an operator has excluded it`,
    hint: `To use it again: fleetctl machines accept ${name}`,
  };
}

/** The objection to a machine with units of this cluster that claims another cluster: they may still run there. */
function claimed(name: string, { id, cluster }: Observation, registry: KnownMachines): Objection | undefined {
  const { clusterId } = registry;
  if (clusterId === undefined || cluster === undefined || cluster === clusterId) return undefined;
  if (registry.hasUnitsOn?.(id) !== true) return undefined;
  return {
    message: `Machine "${name}" has units of this cluster, but claims to belong to another one: ${quoted(cluster)}`,
    hint: `Find out which process wrote /var/lib/fleet/cluster there. This cluster is ${clusterId}; to remove the machine: fleetctl machines remove ${name}`,
  };
}

/** The result of {@link recordObjection} for each answer, because a machine may have thousands of records. */
const judged = new WeakMap<Observation, { readonly objection: Objection | undefined }>();

function cachedRecordObjection(name: string, observation: Observation): Objection | undefined {
  const known = judged.get(observation) ?? { objection: recordObjection(name, observation) };
  judged.set(observation, known);
  return known.objection;
}

/** The objection to a machine with records that fleet cannot have written. */
function recordObjection(name: string, { units, token = 0, backup }: Observation): Objection | undefined {
  const records = units.flatMap(({ record }) => record ?? []);
  const tokens = [...records.map((record) => record.token), token, backup?.token ?? 0];
  const badToken = tokens.find((each) => !isToken(each));
  const badName = records.find(({ unit }) => unitNameProblem(unit) !== undefined)?.unit;
  if (badToken === undefined && badName === undefined) return undefined;
  const what =
    badName === undefined
      ? `token ${badToken}, and tokens are whole numbers up to ${MAX_TOKEN}`
      : `unit "${badName}", which is not a valid name: ${unitNameProblem(badName)}`;
  return {
    message: `Cannot use machine "${name}": it has a record with ${what}`,
    hint: `Find out which process wrote it below /var/lib/fleet there; in doubt, reinstall the machine, and then: fleetctl machines accept ${name}`,
  };
}

/** Compares the ids in answers with those that the registry has for the names of the machines. */
class Identities {
  readonly #bound: ReadonlyMap<string, MachineId>;
  /** Id → the names of the machines that answer with it (claimants) or have it in the registry (holders). */
  readonly #claimants: ReadonlyMap<MachineId, readonly string[]>;
  readonly #holders: ReadonlyMap<MachineId, readonly string[]>;

  constructor(views: readonly MachineView[], bound: ReadonlyMap<string, MachineId>) {
    this.#bound = bound;
    this.#holders = namesById([...bound]);
    this.#claimants = namesById(
      views.flatMap(({ machine: { name }, observation }) =>
        observation === undefined ? [] : [[name, observation.id] as const],
      ),
    );
  }

  /** Whether a machine with another name has the id of a view in the registry. */
  isTaken({ machine, id }: MachineView): boolean {
    return id !== undefined && this.#others(this.#holders, machine.name, id).length > 0;
  }

  objection(name: string, id: MachineId): Objection | undefined {
    const before = this.#bound.get(name);
    const rivals = this.#others(this.#claimants, name, id);
    const isBound = before === id;
    const hasBoundRival = rivals.some((rival) => this.#bound.get(rival) === id);
    if (isBound && !hasBoundRival) return undefined;
    const [holder] = hasBoundRival || !isBound ? [...rivals, ...this.#others(this.#holders, name, id)] : [];
    const shown = formatMachineId(id);
    if (holder !== undefined) {
      const known =
        before === undefined || isBound ? '' : `; the registry has ${formatMachineId(before)} for it`;
      return {
        message: `Machine "${name}" has the machine id of machine "${holder}", ${shown}${known}`,
        hint: `If it is a copy, run "rm /etc/machine-id && systemd-machine-id-setup" on it and restart it; if machine "${holder}" is now named "${name}", or both are the same machine, remove section "${holder}" from fleet.conf, and then: fleetctl machines accept ${name}`,
      };
    }
    if (before === undefined) return undefined;
    return {
      message: `Machine "${name}" has machine id ${shown}, and the registry has ${formatMachineId(before)} for it`,
      hint: `If it was reinstalled or replaced: fleetctl machines accept ${name}`,
    };
  }

  #others(names: ReadonlyMap<MachineId, readonly string[]>, name: string, id: MachineId): readonly string[] {
    return (names.get(id) ?? []).filter((other) => other !== name);
  }
}

function namesById(
  entries: readonly (readonly [string, MachineId])[],
): ReadonlyMap<MachineId, readonly string[]> {
  const names = new Map<MachineId, string[]>();
  for (const [name, id] of entries) names.set(id, [...(names.get(id) ?? []), name]);
  return names;
}
