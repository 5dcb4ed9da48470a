import { type DesiredUnit, type MachineView, TOKEN_MARGIN } from '../cluster/snapshot.ts';
import { voterCount } from '../quorum/choose.ts';
import { viewsOf } from '../reconcile/observe.ts';
import { aheadOf, revisionAt } from '../reconcile/outdated.ts';
import type { Ports } from '../reconcile/ports.ts';
import { snapshotOf } from '../reconcile/snapshot.ts';
import { candidatesOf, tendVoters } from '../reconcile/voters.ts';
import type { StoredUnit } from '../registry/edit.ts';
import { currentName } from '../registry/inventory.ts';
import type { Registry } from '../registry/registry.ts';
import type { RegistryView } from '../registry/view.ts';
import { recoverUnits } from './recovered-units.ts';

/** A registry that has lost the majority of its voters, as the rest of them has it. */
export type LostMajority = {
  readonly registry: Registry;
  /** The newest revision that a voter has, and the time of its last event in epoch ms. */
  readonly revision: number;
  readonly at: number | undefined;
  /** The machines that have this revision, the voters that cannot be read, and those with a copy or a register that was set back. */
  readonly holders: readonly string[];
  readonly missing: readonly string[];
  readonly outdated: readonly string[];
  /** The machines that have obeyed later decisions, with the highest revision and the units of these. */
  readonly ahead: readonly {
    readonly machine: string;
    readonly revision: number;
    readonly units: readonly string[];
  }[];
  /** The units of these decisions that the registry does not have, as they are on machines. */
  readonly unknown: readonly StoredUnit[];
  /** The units that the registry has in an earlier state, to which a pass returns them. */
  readonly undone: readonly string[];
  readonly views: readonly MachineView[];
};

/** The voters of a registry after its recovery, and how many a cluster of this size has. */
export type RebuiltVoters = { readonly voters: readonly string[]; readonly wanted: number };

/** What is left of a registry without a majority of its voters; undefined if a majority answers, or nothing is left. Only reads. */
export async function findLostMajority(ports: Ports): Promise<LostMajority | undefined> {
  const remains = await ports.voters?.remains();
  if (remains === undefined) return undefined;
  const { registry, holders } = remains;
  const view = await registry.load();
  const present = (names: readonly string[]): readonly string[] =>
    names.map((name) => currentName(name, view));
  const views = await viewsOf(ports, view, { names: [], digests: false, token: true, backup: true });
  const tokens = aheadOf(view, views);
  const own = views.filter(({ observation }) => observation?.cluster === view.clusterId);
  const ahead = own.flatMap(({ machine: { name: machine }, observation }) => {
    const token = tokens.get(machine);
    if (token === undefined) return [];
    const later = (observation?.units ?? []).filter(({ record }) => (record?.token ?? 0) > view.token);
    return [{ machine, revision: revisionAt(view, token), units: later.map(({ name }) => name) }];
  });
  const later = new Set(ahead.flatMap(({ units }) => units));
  for (const name of view.unitNames) later.delete(name);
  const { units } = recoverUnits(own, () => false);
  const unknown = units.flatMap(({ stored }) => (later.has(stored.name) ? [stored] : []));
  return {
    registry,
    unknown,
    undone: undoneIn(
      view,
      own.filter(({ machine }) => tokens.has(machine.name)),
    ),
    revision: view.revision,
    at: view.events.at(-1)?.at,
    holders,
    missing: present(remains.missing),
    outdated: present(remains.outdated),
    ahead,
    views,
  };
}

/**
 * Continues with what is left and with the unknown units, so that no pass stops them, without the other voters, and reads it from its new voters. The tokens of all later decisions are above those
 * of machines, so that a majority that returns cannot change machines any more. Throws FleetError `registry-unavailable` if a machine has
 * changed meanwhile.
 */
export async function rebuildWithout(ports: Ports, lost: LostMajority): Promise<RebuiltVoters> {
  const { missing, ahead, unknown, views } = lost;
  await lost.registry.update(({ clusterId: id, token, revision }) => {
    const lead = Math.max(0, ...ahead.map((each) => each.revision - revision));
    const event = { kind: 'registry-rebuilt', without: missing } as const;
    return [
      ...(id === undefined
        ? []
        : [{ kind: 'put-cluster', id, tokenBase: token + lead + TOKEN_MARGIN - revision } as const]),
      ...unknown.map((unit) => ({ kind: 'put-unit', unit }) as const),
      { kind: 'log', events: [event] },
    ];
  });
  const view = await ports.registry.load();
  const snapshot = snapshotOf(ports, view, views);
  // Machines that only the registry names may be voters, too.
  await tendVoters(ports, snapshot, view);
  const candidates = candidatesOf(snapshot, view, ports.voters?.marks ?? new Map());
  return {
    voters: (await ports.voters?.names()) ?? [],
    wanted: voterCount(candidates.filter(({ mark }) => mark !== false).length),
  };
}

/**
 * The units whose later decisions on these machines a pass takes back: those with another target state or text there, or another
 * machine, and those that were removed from there.
 */
function undoneIn(view: RegistryView, machines: readonly MachineView[]): readonly string[] {
  const isUndone = ({ name, target, digest, machine }: DesiredUnit): boolean =>
    machines.some(({ id, observation }) => {
      const record = observation?.units.find((unit) => unit.name === name)?.record;
      if (record === undefined) return machine === id && target !== 'inactive';
      const isElsewhere = machine !== undefined && machine !== id;
      const isOther = record.target !== target || record.digest !== digest || isElsewhere;
      return record.token > view.token && isOther;
    });
  return view.allUnits.filter(isUndone).map(({ name }) => name);
}
