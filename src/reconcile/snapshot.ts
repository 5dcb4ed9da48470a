import { withLostRecords } from '../cluster/drift.ts';
import {
  type ClusterSnapshot,
  type DependentUnit,
  type DesiredUnit,
  type Held,
  type KeptText,
  type MachineView,
  observedOn,
  UNLISTED,
  type UnreadableUnit,
} from '../cluster/snapshot.ts';
import type { Machine } from '../machine/machine.ts';
import { groupWith, hasCopies } from '../plan/rollout.ts';
import { clusterMachines } from '../registry/inventory.ts';
import type { RegistryView } from '../registry/view.ts';
import type { Ports } from './ports.ts';

/** The snapshot of a registry view and the machines as they were observed. */
export function snapshotOf(
  ports: Pick<Ports, 'clock' | 'agentTtlMs' | 'cutOff' | 'leases'> & Partial<Pick<Ports, 'machines'>>,
  registry: RegistryView,
  machines: readonly MachineView[],
  drained?: string,
): ClusterSnapshot {
  const now = ports.clock.now();
  const units = withHolds(registry.allUnits, machines);
  return {
    now,
    agentTtlMs: ports.agentTtlMs,
    cutOff: ports.cutOff,
    clusterId: registry.clusterId,
    revision: registry.token,
    units,
    olderTexts: olderTexts(registry, machines),
    keptTexts: keptTexts(units, registry, machines),
    unreadable: unreadableUnits(registry, machines),
    machines: withUnlisted(machines, registry, now, clusterMachines(registry, ports.machines ?? [])).map(
      (view) => withNewReverts(withLostRecords(view, registry.units), registry),
    ),
    cordons: new Map(
      [...registry.machines].flatMap(([name, { cordon }]) => (cordon ? [[name, cordon]] : [])),
    ),
    drained,
    leases: ports.leases?.(),
  };
}

/**
 * The machine without the reports about changes that it reverted earlier: the text is known to have failed, and the unit was
 * changed since, so that an operator or the hold of the text decides whether it is tried again. A machine can only report about
 * its own units, and the registry's text of a unit only if that has `Confirm=`.
 */
function withNewReverts(view: MachineView, registry: RegistryView): MachineView {
  if (view.unreachable !== undefined || view.observation.confirmations === undefined) return view;
  const confirmations = view.observation.confirmations.filter(({ state, unit, token, digest }) => {
    if (state === 'armed') return true;
    const wanted = registry.units.get(unit);
    const isIts = wanted !== undefined && (wanted.placement.global || wanted.machine === view.id);
    if (!isIts || (wanted.digest === digest && wanted.placement.confirmMs === undefined)) return false;
    const isKnown = registry.verdicts(unit)[digest]?.kind === 'failed';
    return !isKnown || token === wanted.token;
  });
  return { ...view, observation: { ...view.observation, confirmations } };
}

/** The dependencies of texts on machines that differ from the registry, if its history has them. */
function olderTexts(registry: RegistryView, machines: readonly MachineView[]): readonly DependentUnit[] {
  const older = new Map<string, DependentUnit>();
  for (const { name, record } of machines.flatMap(({ observation }) => observation?.units ?? [])) {
    if (record === undefined || record.digest === registry.units.get(name)?.digest) continue;
    const key = `${name} ${record.digest}`;
    if (!older.has(key)) older.set(key, { name, dependencies: registry.dependencies(name, record.digest) });
  }
  return [...older.values()];
}

/**
 * The units, with those held of which a machine has reverted the text although no process has stored that, and new instances
 * of a template whose text is held: machines must not get the text.
 */
function withHolds(units: readonly DesiredUnit[], machines: readonly MachineView[]): readonly DesiredUnit[] {
  const held = new Map<string, Held>();
  for (const unit of units) {
    if (unit.held === undefined || !hasCopies(unit)) continue;
    for (const { name } of groupWith(unit, units)) held.set(name, unit.held);
  }
  for (const { id, machine, observation } of machines) {
    for (const each of observation?.confirmations ?? []) {
      const unit = each.state === 'reverted' ? units.find(({ name }) => name === each.unit) : undefined;
      if (each.state !== 'reverted' || unit?.digest !== each.digest || id === undefined) continue;
      const { at, why, windowMs } = each;
      const failed = {
        at,
        machines: [{ id, name: machine.name }],
        cause: { kind: 'reverted', why, windowMs },
      } as const;
      if (hasCopies(unit)) for (const { name } of groupWith(unit, units)) held.set(name, failed);
    }
  }
  if (held.size === 0) return units;
  return units.map((unit) => ({ ...unit, held: unit.held ?? held.get(unit.name) }));
}

function keptTexts(
  units: readonly DesiredUnit[],
  registry: RegistryView,
  machines: readonly MachineView[],
): readonly KeptText[] {
  const held = units.filter((unit) => unit.held !== undefined);
  return held.flatMap((unit) => {
    const records = machines.flatMap((view) => observedOn(view, unit.name)?.record ?? []);
    return registry.keptTexts(unit, new Set(records.map(({ digest }) => digest)));
  });
}

/**
 * The units whose target states are not known: those with unreadable documents, and those on machines of this cluster
 * whose documents are lost.
 */
function unreadableUnits(
  registry: RegistryView,
  machines: readonly MachineView[],
): readonly UnreadableUnit[] {
  const found = machines.flatMap(({ observation }) =>
    (observation?.units ?? []).flatMap(({ name, record }) => (record === undefined ? [] : [name])),
  );
  const lost = [...new Set(found)].flatMap((name) => {
    const error = registry.units.has(name) ? undefined : registry.lost(name);
    return error === undefined ? [] : [[name, error] as const];
  });
  return [...registry.unreadable, ...lost].map(([unit, { message, hint }]) => ({ unit, message, hint }));
}

/**
 * The machines, and those with assigned units whose address only the fleet.conf of another operator has, as in version
 * 0.1.0. They count as unreachable, and no unit leaves them. `now` is epoch ms; a part of `inventory` may not have been
 * observed.
 */
function withUnlisted(
  machines: readonly MachineView[],
  registry: RegistryView,
  now: number,
  inventory: readonly Machine[],
): readonly MachineView[] {
  const listed = machines.filter(({ unreachable }) => unreachable?.code !== UNLISTED);
  const names = new Set([...inventory, ...listed.map(({ machine }) => machine)].map(({ name }) => name));
  const ids = new Set(listed.map(({ id }) => id));
  const assigned = new Set([...registry.units.values()].map(({ machine }) => machine));
  const unlisted = [...registry.machines].flatMap(([name, { id }]): readonly MachineView[] => {
    if (id === undefined || names.has(name) || ids.has(id) || !assigned.has(id)) return [];
    ids.add(id);
    const unreachable = {
      since: now,
      code: UNLISTED,
      message: `Machine "${name}" has no address in the registry, and is not in this fleet.conf`,
      hint: `Add it to fleet.conf; or, if it has left the cluster: fleetctl machines remove ${name}`,
    };
    const machine = { name, address: '', metadata: {} };
    return [{ machine, id, observation: undefined, unreachable, backSince: undefined }];
  });
  return [...listed, ...unlisted];
}
