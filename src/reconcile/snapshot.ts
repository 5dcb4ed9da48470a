import type { Confirmation } from '../cluster/confirmation.ts';
import { withLostRecords } from '../cluster/drift.ts';
import { groupsIn } from '../cluster/held.ts';
import {
  type ClusterSnapshot,
  type DependentUnit,
  type DesiredUnit,
  type Held,
  type KeptText,
  type MachineView,
  type NewRevert,
  observedOn,
  otherCluster,
  UNLISTED,
  type UnreadableUnit,
} from '../cluster/snapshot.ts';
import type { Machine, MachineId } from '../machine/machine.ts';
import { clusterMachines } from '../registry/inventory.ts';
import { keptTexts, olderText } from '../registry/kept-texts.ts';
import type { RegistryView } from '../registry/view.ts';
import { differOnlyInFolderOptions } from '../unit/folder-options.ts';
import type { Ports } from './ports.ts';

/** The snapshot of a registry view and the machines as they were observed. */
export function snapshotOf(
  ports: Pick<Ports, 'clock' | 'agentTtlMs' | 'cutOff' | 'leases'> & Partial<Pick<Ports, 'machines'>>,
  registry: RegistryView,
  machines: readonly MachineView[],
  drained?: string,
): ClusterSnapshot {
  const now = ports.clock.now();
  const reverts = newReverts(machines, registry);
  const units = withHolds(registry.allUnits, reverts);
  return {
    now,
    agentTtlMs: ports.agentTtlMs,
    cutOff: ports.cutOff,
    clusterId: registry.clusterId,
    revision: registry.token,
    units,
    olderTexts: olderTexts(registry, machines),
    keptTexts: keptTextsOf(units, registry, machines),
    ...(reverts.length > 0 && { newReverts: reverts }),
    unreadable: unreadableUnits(registry, machines),
    machines: withUnlisted(machines, registry, now, clusterMachines(registry, ports.machines ?? [])).map(
      (view) => withLostRecords(view, registry.units),
    ),
    cordons: new Map(
      [...registry.machines].flatMap(([name, { cordon }]) => (cordon ? [[name, cordon]] : [])),
    ),
    drained,
    leases: ports.leases?.(),
  };
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
 * of a template whose text is held.
 */
function withHolds(units: readonly DesiredUnit[], reverts: readonly NewRevert[]): readonly DesiredUnit[] {
  const held = new Map<string, Held>();
  const groupOf = groupsIn(units);
  const hold = (unit: DesiredUnit, { machines, ...failure }: Held): void => {
    for (const { name } of groupOf(unit)) {
      const before = held.get(name);
      const all = [...(before?.machines ?? []), ...machines];
      held.set(name, { ...failure, ...before, machines: all });
    }
  };
  for (const unit of units) if (unit.held !== undefined && !held.has(unit.name)) hold(unit, unit.held);
  const byName = new Map(reverts.length === 0 ? [] : units.map((unit) => [unit.name, unit]));
  for (const revert of reverts) {
    const unit = byName.get(revert.unit);
    if (unit?.digest === revert.digest) hold(unit, revert.held);
  }
  return held.size === 0 ? units : units.map((unit) => ({ ...unit, held: held.get(unit.name) }));
}

function keptTextsOf(
  units: readonly DesiredUnit[],
  registry: RegistryView,
  machines: readonly MachineView[],
): readonly KeptText[] {
  const held = units.filter((unit) => unit.held !== undefined);
  return held.flatMap((unit) => {
    const records = machines.flatMap((view) => observedOn(view, unit.name)?.record ?? []);
    const texts = keptTexts(registry, unit, new Set(records.map(({ digest }) => digest)));
    // Such a text has failed like the present one.
    return texts.filter((older) => !differOnlyInFolderOptions(older.unit.text, unit.text));
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

/** The texts that machines have reverted, as far as they are believed, and the registry does not know it. */
export function newReverts(machines: readonly MachineView[], registry: RegistryView): readonly NewRevert[] {
  return machines.flatMap((view) => {
    const { machine, id, observation } = view;
    if (id === undefined || otherCluster(view, registry) !== undefined) return [];
    return (observation?.confirmations ?? []).flatMap((each): readonly NewRevert[] => {
      if (each.state !== 'reverted' || !isNews(each, id, registry)) return [];
      const { unit, digest, at, why, windowMs } = each;
      const cause = { kind: 'reverted', why, windowMs } as const;
      return [{ unit, digest, held: { at, machines: [{ id, name: machine.name }], cause } }];
    });
  });
}

/**
 * A machine can only report about its own units, and about their texts with `Confirm=`. A report about a decision before the
 * release of the text (`--retry`) is outdated.
 */
function isNews({ unit, digest, token }: Confirmation, id: MachineId, registry: RegistryView): boolean {
  const wanted = registry.units.get(unit);
  if (wanted === undefined || token > wanted.token) return false;
  if (!wanted.placement.global && wanted.machine !== id) return false;
  const text = wanted.digest === digest ? wanted : olderText(registry, wanted, digest);
  if (text?.placement.confirmMs === undefined) return false;
  const released = registry.released(unit);
  if (released?.digest === digest && token <= released.token) return false;
  return registry.verdicts(unit)[digest]?.held?.machines.every((known) => known.id !== id) ?? true;
}
