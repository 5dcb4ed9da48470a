import { FleetError } from '../base/errors.ts';
import { MAX_LEAD, type MachineView, type Observation, type Token, UNLISTED } from '../cluster/snapshot.ts';
import type { Edit } from '../registry/edit.ts';
import { type Registry, withWholeViews } from '../registry/registry.ts';
import type { RegistryView } from '../registry/view.ts';
import { identifiedViews } from './trust.ts';

/** Throws if a registry must not be changed, because of the observed machines. */
type Refusal = (view: RegistryView, views: readonly MachineView[]) => void;

/**
 * The highest tokens, by machine name, of the machines with a token that this registry has not issued yet. `view` must be
 * loaded after the observation, so that no other process can have issued it in between.
 */
export function aheadOf(view: RegistryView, views: readonly MachineView[]): ReadonlyMap<string, Token> {
  const tokens = ownViews(view, views).map(
    ({ name, observation }) => [name, highestToken(observation)] as const,
  );
  return new Map(tokens.filter(([, token]) => token > view.token));
}

/**
 * Throws FleetError `registry-outdated` if two machines, or all that answer, have tokens that the registry has not issued.
 * Then an old backup was restored, and a pass would remove all newer units. A single machine is no proof: it is unusable.
 */
export const refuseOutdated: Refusal = (view, views) => {
  const witnesses = witnessesOf(view, views);
  const [newest] = witnesses;
  if (newest === undefined || !agree(witnesses, view, views)) return;
  throw outdated(
    'is older than the state of the machines',
    view,
    newest,
    'Restore a newer backup; or move this registry away, and run "fleetctl recover" to rebuild it from the machines',
  );
};

/** For commands of operators: a single machine that is ahead is enough, until an operator has decided about it. */
export const refuseDoubtful: Refusal = (view, views) => {
  refuseOutdated(view, views);
  const [newest] = witnessesOf(view, views);
  if (newest === undefined) return;
  const { name } = newest;
  throw outdated(
    'may be an old backup',
    view,
    newest,
    `No other machine confirms that. If it is an old backup, restore a newer one; if machine "${name}" is wrong, exclude it: fleetctl machines distrust ${name}`,
  );
};

/** The registry with updates that call `refuse` with `views`, the last observation of the machines. */
export function comparedRegistry(
  registry: Registry,
  views: () => readonly MachineView[],
  refuse: Refusal,
): Registry {
  return withWholeViews({
    ...registry,
    change: (decide, use) => {
      // Read before the registry, so that the registry contains all later decisions of other processes.
      const seen = views();
      const checked = (view: RegistryView): readonly Edit[] => {
        refuse(view, seen);
        return decide(view);
      };
      return registry.change(checked, use);
    },
  });
}

/** Whether enough machines agree that the registry is old. */
export function isOutdated(view: RegistryView, views: readonly MachineView[]): boolean {
  return agree(witnessesOf(view, views), view, views);
}

type Witness = { readonly name: string; readonly token: Token };

function agree(witnesses: readonly Witness[], view: RegistryView, views: readonly MachineView[]): boolean {
  const names = new Set(witnesses.map(({ name }) => name));
  const own = ownViews(view, views);
  return names.size > 1 || (own.length > 0 && own.every(({ name }) => names.has(name)));
}

/** The machines with a plausible lead, observed or recorded, the newest first. */
function witnessesOf(view: RegistryView, views: readonly MachineView[]): readonly Witness[] {
  const noted = views.flatMap(({ machine: { name }, unreachable }): readonly (readonly [string, Token])[] => {
    const { ahead, distrusted } = view.machines.get(name) ?? {};
    return ahead === undefined || distrusted || unreachable?.code === UNLISTED ? [] : [[name, ahead]];
  });
  return [...new Map([...noted, ...aheadOf(view, views)])]
    .map(([name, token]) => ({ name, token }))
    .filter(({ token }) => token - view.token <= MAX_LEAD)
    .toSorted((a, b) => b.token - a.token);
}

/** The revision at which the registry issues a token. */
export function revisionAt(view: RegistryView, token: Token): number {
  return token - view.token + view.revision;
}

function outdated(what: string, view: RegistryView, newest: Witness, hint: string): FleetError {
  return new FleetError(
    'registry-outdated',
    `The registry ${what}: it is at revision ${view.revision}, and machine "${newest.name}" has seen revision ${revisionAt(view, newest.token)}`,
    { hint },
  );
}

/** The machines of this cluster that answer. */
function ownViews(
  view: RegistryView,
  views: readonly MachineView[],
): readonly { readonly name: string; readonly observation: Observation }[] {
  return identifiedViews(views, view, 0).flatMap(({ machine: { name }, observation }) =>
    observation === undefined || observation.cluster !== view.clusterId ? [] : [{ name, observation }],
  );
}

/** The highest token of the records and, if requested, of the whole machine. */
export function highestToken({ units, token = 0 }: Observation): Token {
  return units.reduce((highest, { record }) => Math.max(highest, record?.token ?? 0), token);
}
