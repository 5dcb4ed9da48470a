import { FleetError } from '../base/errors.ts';
import { MAX_LEAD, type MachineView } from '../cluster/snapshot.ts';
import { machineEdits, viewsOf } from '../reconcile/observe.ts';
import type { Ports } from '../reconcile/ports.ts';
import { snapshotOf } from '../reconcile/snapshot.ts';
import { unusable } from '../reconcile/trust.ts';
import type { Edit, StoredUnit } from '../registry/edit.ts';
import { clusterMachines } from '../registry/inventory.ts';
import type { Registry } from '../registry/registry.ts';
import type { RegistryView } from '../registry/view.ts';
import { parsePlacement } from '../unit/placement.ts';
import { hashUnitFile, parseUnitFile } from '../unit/unit-file.ts';
import { parseUnitName } from '../unit/unit-name.ts';
import { machineNamed } from './find-machine.ts';
import { type UnreachableMachine, unreachableMachines } from './listing.ts';
import { unitMatcher } from './local-file.ts';
import { type RecoveredUnits, recoverUnits } from './recovered-units.ts';

/** The decisions of an operator. */
export type RecoverRequest = {
  /** Names or globs of units to accept and to reject, from any machine. */
  readonly accept: readonly string[];
  readonly reject: readonly string[];
  /** Names of machines whose units are accepted. */
  readonly trust: readonly string[];
};

/** The recovered units; or the machines that did not answer, if nothing was stored; or the accepted and rejected units. */
export type RecoverResult =
  | {
      readonly kind: 'decided';
      readonly accepted: readonly string[];
      readonly rejected: readonly string[];
      /** The units that are still unconfirmed. */
      readonly open: readonly string[];
    }
  | ({ readonly kind: 'recovered'; readonly clusterId: string } & RecoveredUnits)
  | { readonly kind: 'unreachable'; readonly unreachable: readonly UnreachableMachine[] };

/**
 * Rebuilds a lost registry from the data on the machines: texts, target states, assignments, and the id of the cluster.
 * Machines are only read. All of them have to answer, because a pass removes units that the registry does not have. Tokens
 * continue above the highest one of all machines. Units that no second machine confirms are stored as unconfirmed: no pass
 * changes them before an operator accepts them, in this or a later request. So are those whose text no machine has; they
 * need a text. Throws FleetError `not-recoverable` if the
 * registry is not empty, or if the machines belong to different clusters; `unit-not-found` and `machine-not-found` for
 * names in the request that do not match.
 */
export async function recover(ports: Ports, wanted: RecoverRequest): Promise<RecoverResult> {
  const registry = await ports.registry.load();
  for (const name of wanted.trust) machineNamed(name, clusterMachines(registry, ports.machines));
  if (registry.clusterId !== undefined && Object.values(wanted).some(({ length }) => length > 0))
    return decide(ports.registry, wanted);
  refuseExisting(registry);
  const answers = await viewsOf(ports, registry, { names: [], digests: false, backup: true });
  const views = withoutOutlier(answers, ports.clock.now());
  const unreachable = views.filter(({ unreachable }) => unreachable !== undefined);
  if (unreachable.length > 0)
    return {
      kind: 'unreachable',
      unreachable: unreachableMachines(snapshotOf(ports, registry, unreachable)),
    };
  const clusterId = clusterOf(views);
  const recovered = recoverUnits(views, acceptance(wanted));
  const names = recovered.units.map(({ stored }) => stored.name);
  refuseUnmatched(wanted.accept, names);
  await ports.registry.update((view) => {
    refuseExisting(view);
    return [
      { kind: 'put-cluster', id: clusterId, tokenBase: highestToken(views) },
      ...recovered.units.map(({ stored }): Edit => ({ kind: 'put-unit', unit: stored })),
      ...machineEdits(views, view, ports),
    ];
  });
  return { kind: 'recovered', clusterId, ...recovered };
}

function refuseExisting(registry: RegistryView): void {
  if (registry.clusterId === undefined) return;
  throw new FleetError('not-recoverable', 'Cannot recover the registry: it exists and is not empty', {
    hint: 'It can be read, so there is nothing to recover, and nothing was changed. To see its place and its voters: fleetctl registry',
  });
}

/** The cluster that owns the machines; new machines belong to none. */
function clusterOf(views: readonly MachineView[]): string {
  const owned = views.flatMap(({ machine, observation }) =>
    observation?.cluster === undefined ? [] : [{ name: machine.name, cluster: observation.cluster }],
  );
  const [first] = owned;
  if (first === undefined) {
    throw new FleetError(
      'not-recoverable',
      'Cannot recover the registry: no machine of fleet.conf belongs to a cluster',
      { hint: 'Check that fleet.conf has the machines that ran your units: fleetctl list-machines' },
    );
  }
  const other = owned.find(({ cluster }) => cluster !== first.cluster);
  if (other === undefined) return first.cluster;
  throw new FleetError(
    'not-recoverable',
    `Cannot recover the registry: machine "${first.name}" belongs to cluster ${first.cluster}, machine "${other.name}" to ${other.cluster}`,
    { hint: 'Leave only the machines of one cluster in fleet.conf' },
  );
}

function highestToken(views: readonly MachineView[]): number {
  return Math.max(0, ...views.map(({ observation }) => observation?.backup?.token ?? 0));
}

/**
 * Accepts or rejects unconfirmed units; rejected ones are deleted from the registry. Those without a text stay; throws the
 * error of one if there is nothing else to decide.
 */
async function decide(registry: Registry, request: RecoverRequest): Promise<RecoverResult> {
  const isAccepted = acceptance(request);
  const isRejected = acceptance({ ...request, accept: request.reject, trust: [] });
  let accepted: readonly StoredUnit[] = [];
  let rejected: readonly StoredUnit[] = [];
  const view = await registry.update(({ unconfirmed, unreadable }) => {
    const open = [...unconfirmed.values()];
    refuseUnmatched([...request.accept, ...request.reject], [...unconfirmed.keys()]);
    rejected = open.filter(({ name }) => isRejected(name, ''));
    const named = open.filter(
      (unit) => !rejected.includes(unit) && isAccepted(unit.name, unit.unconfirmed?.machine ?? ''),
    );
    accepted = named.filter(({ text }) => text !== undefined);
    const edits = [
      ...rejected.map(({ name }): Edit => ({ kind: 'delete-unit', name })),
      ...accepted.map(({ unconfirmed, text = '', ...unit }): Edit => {
        const file = parseUnitFile(text, unit.name);
        parsePlacement(file, parseUnitName(unit.name));
        const target = unconfirmed?.target ?? unit.target;
        return { kind: 'put-unit', unit: { ...unit, text, hash: hashUnitFile(file), target } };
      }),
    ];
    const refusal = edits.length > 0 ? undefined : unreadable.get(named[0]?.name ?? '');
    if (refusal !== undefined) throw refusal;
    return edits;
  });
  return {
    kind: 'decided',
    accepted: accepted.map(({ name }) => name),
    rejected: rejected.map(({ name }) => name),
    open: [...view.unconfirmed.keys()],
  };
}

function acceptance({ accept, trust }: RecoverRequest): (unit: string, machine: string) => boolean {
  const matchers = accept.map(unitMatcher);
  return (unit, machine) => trust.includes(machine) || matchers.some((matches) => matches(unit));
}

function refuseUnmatched(arguments_: readonly string[], units: readonly string[]): void {
  const unmatched = arguments_.find((argument) => !units.some(unitMatcher(argument)));
  if (unmatched === undefined) return;
  throw new FleetError('unit-not-found', `No unconfirmed unit matches "${unmatched}"`, {
    hint: 'Units on machines: fleetctl recover --dry-run; unconfirmed units of the registry: fleetctl list-unit-files',
  });
}

/** The machines, where one whose token is implausibly far above all others is unusable: few revisions would be left. */
function withoutOutlier(views: readonly MachineView[], now: number): readonly MachineView[] {
  const tokenOf = ({ observation }: MachineView): number => observation?.backup?.token ?? 0;
  const [first, second] = views.toSorted((a, b) => tokenOf(b) - tokenOf(a));
  if (first === undefined || second === undefined || tokenOf(first) - tokenOf(second) <= MAX_LEAD)
    return views;
  const { name } = first.machine;
  const objection = {
    message: `Cannot use machine "${name}": it has seen revision ${tokenOf(first)}, far beyond all other machines`,
    hint: `Correct that below /var/lib/fleet there, or remove the machine from fleet.conf`,
  };
  return views.map((view) => (view === first ? unusable(view, objection, now) : view));
}
