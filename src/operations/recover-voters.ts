import { TOKEN_MARGIN, type Token } from '../cluster/snapshot.ts';
import { observe } from '../reconcile/observe.ts';
import { aheadOf } from '../reconcile/outdated.ts';
import type { Ports } from '../reconcile/ports.ts';
import type { Registry } from '../registry/registry.ts';
import type { RegistryView } from '../registry/view.ts';

/** A registry that has lost the majority of its voters, as the rest of them has it. */
export type LostMajority = {
  readonly registry: Registry;
  /** The newest revision that a voter has, and the time of its last event in epoch ms. */
  readonly revision: Token;
  readonly at: number | undefined;
  /** The machines that have this revision, and the voters that cannot be read. */
  readonly holders: readonly string[];
  readonly missing: readonly string[];
  /** The machines that have obeyed later decisions, with the highest revision and the units of these. */
  readonly ahead: readonly {
    readonly machine: string;
    readonly revision: Token;
    readonly units: readonly string[];
  }[];
};

/** What is left of a registry without a majority of its voters; undefined if a majority answers, or nothing is left. Only reads. */
export async function findLostMajority(ports: Ports): Promise<LostMajority | undefined> {
  const remains = await ports.voters?.remains();
  if (remains === undefined) return undefined;
  const { registry, holders, missing } = remains;
  const view = await registry.load();
  const request = { names: [], digests: false, token: true };
  const { views, sessions } = await observe(ports, view, request);
  for (const session of sessions.values()) session.close();
  const ahead = [...aheadOf(view, views)].map(([machine, revision]) => {
    const units = views.find((each) => each.machine.name === machine)?.observation?.units ?? [];
    const later = units.filter(({ record }) => (record?.token ?? 0) > view.token);
    return { machine, revision, units: later.map(({ name }) => name) };
  });
  return { registry, revision: view.token, at: lastEventOf(view), holders, missing, ahead };
}

/**
 * Continues with what is left, without the missing voters. The tokens of all later decisions are above those of machines, so that a
 * majority that returns cannot change machines any more. Throws FleetError `registry-unavailable` if a machine has changed meanwhile.
 */
export async function rebuildWithout({ registry, missing, ahead }: LostMajority): Promise<void> {
  await registry.update((view) => {
    const { clusterId: id, token, revision } = view;
    const highest = Math.max(token, ...ahead.map((each) => each.revision));
    const event = { kind: 'registry-rebuilt', without: missing } as const;
    return [
      ...(id === undefined
        ? []
        : [{ kind: 'put-cluster', id, tokenBase: highest + TOKEN_MARGIN - revision } as const]),
      { kind: 'log', events: [event] },
    ];
  });
}

function lastEventOf({ events }: RegistryView): number | undefined {
  return events.at(-1)?.at;
}
