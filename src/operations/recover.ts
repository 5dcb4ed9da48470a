import { FleetError } from '../base/errors.ts';
import { globMatcher, matchesGlob } from '../base/glob.ts';
import { MAX_LEAD, type MachineView } from '../cluster/snapshot.ts';
import type { Machine } from '../machine/machine.ts';
import { machineEdits, observe } from '../reconcile/observe.ts';
import type { Ports } from '../reconcile/ports.ts';
import { snapshotOf } from '../reconcile/snapshot.ts';
import { unusable } from '../reconcile/trust.ts';
import type { Edit, StoredUnit } from '../registry/edit.ts';
import type { Registry } from '../registry/registry.ts';
import type { RegistryView } from '../registry/view.ts';
import { parsePlacement } from '../unit/placement.ts';
import { parseUnitFile } from '../unit/unit-file.ts';
import { parseUnitName } from '../unit/unit-name.ts';
import { type UnreachableMachine, unreachableMachines } from './listing.ts';
import { globOf, unitNameOf } from './local-file.ts';
import { type RecoveredUnits, recoverUnits } from './recovered-units.ts';

/** What an operator vouches for. */
export type RecoverRequest = {
  /** Names or globs of units to accept, and of those to give up, whatever machine has them. */
  readonly accept: readonly string[];
  readonly reject: readonly string[];
  /** Names of machines: what each of them has decided is accepted. */
  readonly trust: readonly string[];
};

/** Everything that was found; or the machines that did not answer, and then nothing was stored; or what was decided. */
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
 * Rebuilds a registry that was lost from what machines have of it: texts, target states, where units are, and the
 * id of the cluster. Machines are only read. All of them have to answer: a unit that is missing from the registry
 * counts as one that is not wanted. Tokens continue above the highest that any machine has seen. Units that no second machine
 * confirms are stored as unconfirmed: no pass touches them before an operator accepts them, here or with a later request.
 * Throws FleetError `not-recoverable` when the registry is not empty, or the machines are not of one cluster;
 * `unit-not-found` and `machine-not-found` for what the request names in vain.
 */
export async function recover(ports: Ports, wanted: RecoverRequest): Promise<RecoverResult> {
  const registry = await ports.registry.load();
  refuseUnknown(wanted.trust, ports.machines);
  if (registry.clusterId !== undefined && Object.values(wanted).some(({ length }) => length > 0))
    return decide(ports.registry, wanted);
  refuseExisting(registry);
  const request = { names: [], digests: false, backup: true };
  const { views: answers, sessions } = await observe(ports, registry, request);
  for (const session of sessions.values()) session.close();
  const views = withoutOutlier(answers, ports.clock.now());
  if (views.some(({ unreachable }) => unreachable !== undefined)) {
    const unreachable = views.filter(({ unreachable }) => unreachable !== undefined);
    return {
      kind: 'unreachable',
      unreachable: unreachableMachines(snapshotOf(ports, registry, unreachable)),
    };
  }
  const clusterId = clusterOf(views);
  const recovered = recoverUnits(views, acceptance(wanted));
  refuseUnmatched(
    wanted.accept,
    recovered.units.map(({ stored }) => stored.name),
  );
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
  throw new FleetError('not-recoverable', 'Cannot recover the registry: there is one, and it is not empty', {
    hint: 'If it is to be replaced, move it away first; "registry" in fleet.conf says where it is',
  });
}

/** The cluster that owns the machines; new ones belong to none. */
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

/** Accepts units that were recovered unconfirmed, or gives them up: then they are wanted nowhere. */
async function decide(registry: Registry, request: RecoverRequest): Promise<RecoverResult> {
  const isAccepted = acceptance(request);
  const isRejected = acceptance({ ...request, accept: request.reject, trust: [] });
  let accepted: readonly StoredUnit[] = [];
  let rejected: readonly StoredUnit[] = [];
  const view = await registry.update(({ unconfirmed }) => {
    const open = [...unconfirmed.values()];
    refuseUnmatched([...request.accept, ...request.reject], [...unconfirmed.keys()]);
    rejected = open.filter(({ name }) => isRejected(name, ''));
    accepted = open.filter(
      (unit) => !rejected.includes(unit) && isAccepted(unit.name, unit.unconfirmed?.machine ?? ''),
    );
    return [
      ...rejected.map(({ name }): Edit => ({ kind: 'delete-unit', name })),
      ...accepted.map(({ unconfirmed, ...unit }): Edit => {
        parsePlacement(parseUnitFile(unit.text, unit.name), parseUnitName(unit.name));
        return { kind: 'put-unit', unit: { ...unit, target: unconfirmed?.target ?? unit.target } };
      }),
    ];
  });
  return {
    kind: 'decided',
    accepted: accepted.map(({ name }) => name),
    rejected: rejected.map(({ name }) => name),
    open: [...view.unconfirmed.keys()],
  };
}

function acceptance({ accept, trust }: RecoverRequest): (unit: string, machine: string) => boolean {
  const matchers = accept.map(matcherOf);
  return (unit, machine) => trust.includes(machine) || matchers.some((matches) => matches(unit));
}

function matcherOf(argument: string): (unit: string) => boolean {
  const glob = globOf(argument);
  if (glob === undefined) return globMatcher(unitNameOf(argument).text);
  return (unit) => matchesGlob(glob, unit) || matchesGlob(`${glob}.service`, unit);
}

function refuseUnmatched(arguments_: readonly string[], units: readonly string[]): void {
  const unmatched = arguments_.find((argument) => !units.some(matcherOf(argument)));
  if (unmatched === undefined) return;
  throw new FleetError('unit-not-found', `No unconfirmed unit matches "${unmatched}"`, {
    hint: 'What machines remember: fleetctl recover --dry-run; what the registry waits for: fleetctl list-unit-files',
  });
}

function refuseUnknown(names: readonly string[], machines: readonly Machine[]): void {
  const unknown = names.find((name) => !machines.some((machine) => machine.name === name));
  if (unknown === undefined) return;
  throw new FleetError('machine-not-found', `No machine "${unknown}" in fleet.conf`, {
    hint: 'See fleetctl list-machines',
  });
}

/** A machine whose token is implausibly far above those of all others would leave no room for the revisions to come. */
function withoutOutlier(views: readonly MachineView[], now: number): readonly MachineView[] {
  const tokenOf = ({ observation }: MachineView): number => observation?.backup?.token ?? 0;
  const [first, second] = views.toSorted((a, b) => tokenOf(b) - tokenOf(a));
  if (first === undefined || second === undefined || tokenOf(first) - tokenOf(second) <= MAX_LEAD)
    return views;
  const { name } = first.machine;
  const objection = {
    message: `Cannot use machine "${name}": it has seen revision ${tokenOf(first)}, far beyond all other machines`,
    hint: `Correct that below /var/lib/fleet there, or take the machine out of fleet.conf`,
  };
  return views.map((view) => (view === first ? unusable(view, objection, now) : view));
}
