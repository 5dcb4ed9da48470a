import { type MachineView, TOKEN_MARGIN, type Token } from '../cluster/snapshot.ts';
import { voterCount } from '../quorum/choose.ts';
import { observe } from '../reconcile/observe.ts';
import { aheadOf } from '../reconcile/outdated.ts';
import type { Ports } from '../reconcile/ports.ts';
import { snapshotOf } from '../reconcile/snapshot.ts';
import { candidatesOf, tendVoters } from '../reconcile/voters.ts';
import type { StoredUnit } from '../registry/edit.ts';
import type { Registry } from '../registry/registry.ts';
import type { RegistryView } from '../registry/view.ts';
import { recoverUnits } from './recovered-units.ts';

/** A registry that has lost the majority of its voters, as the rest of them has it. */
export type LostMajority = {
  readonly registry: Registry;
  /** The newest revision that a voter has, and the time of its last event in epoch ms. */
  readonly revision: Token;
  readonly at: number | undefined;
  /** The machines that have this revision, the voters that cannot be read, and those with a copy or a register that was set back. */
  readonly holders: readonly string[];
  readonly missing: readonly string[];
  readonly outdated: readonly string[];
  /** The machines that have obeyed later decisions, with the highest revision and the units of these. */
  readonly ahead: readonly {
    readonly machine: string;
    readonly revision: Token;
    readonly units: readonly string[];
  }[];
  /** The units of these decisions that the registry does not have, as they are on machines. */
  readonly unknown: readonly StoredUnit[];
  readonly views: readonly MachineView[];
};

/** The voters of a registry after its recovery, and how many a cluster of this size has. */
export type RebuiltVoters = { readonly voters: readonly string[]; readonly wanted: number };

/** What is left of a registry without a majority of its voters; undefined if a majority answers, or nothing is left. Only reads. */
export async function findLostMajority(ports: Ports): Promise<LostMajority | undefined> {
  const remains = await ports.voters?.remains();
  if (remains === undefined) return undefined;
  const { registry, holders, missing, outdated } = remains;
  const view = await registry.load();
  const request = { names: [], digests: false, token: true, backup: true };
  const { views, sessions } = await observe(ports, view, request);
  for (const session of sessions.values()) session.close();
  const ahead = [...aheadOf(view, views)].map(([machine, revision]) => {
    const units = views.find((each) => each.machine.name === machine)?.observation?.units ?? [];
    const later = units.filter(({ record }) => (record?.token ?? 0) > view.token);
    return { machine, revision, units: later.map(({ name }) => name) };
  });
  const later = new Set(ahead.flatMap(({ units }) => units));
  for (const name of view.unitNames) later.delete(name);
  const own = views.filter(({ observation }) => observation?.cluster === view.clusterId);
  const { units } = recoverUnits(own, () => false);
  const unknown = units.flatMap(({ stored }) => (later.has(stored.name) ? [stored] : []));
  return {
    registry,
    unknown,
    revision: view.token,
    at: lastEventOf(view),
    holders,
    missing,
    outdated,
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
    const highest = Math.max(token, ...ahead.map((each) => each.revision));
    const event = { kind: 'registry-rebuilt', without: missing } as const;
    return [
      ...(id === undefined
        ? []
        : [{ kind: 'put-cluster', id, tokenBase: highest + TOKEN_MARGIN - revision } as const]),
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

function lastEventOf({ events }: RegistryView): number | undefined {
  return events.at(-1)?.at;
}
