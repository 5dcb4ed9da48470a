import type { ClusterSnapshot, DesiredUnit, MachineView } from '../../src/cluster/snapshot.ts';
import { type ObservedUnit, TARGET_STATES } from '../../src/cluster/unit-state.ts';
import {
  type ClusterBuilder,
  cluster,
  foreignUnit,
  observedUnit,
  type StateName,
  systemdState,
  TTL_MS,
} from './builders.ts';
import { pick, seeded } from './random.ts';

type Random = () => number;

const NAMES = [
  'a.service',
  'b.service',
  'c.service',
  'd.service',
  'a.timer',
  'b.socket',
  's@1.service',
].concat('s@2.service', 's@3.service', 's@4.service', 't@1.service', 't@2.service', 'g.service', 'h.service');

const made = new Map<number, ClusterSnapshot>();

/**
 * A random cluster, including states that fleet does not create, such as conflicting units on one machine. Tests of
 * many properties share the cluster of a seed, because most of the time would go into parsing its units again.
 */
export function randomCluster(seed: number): ClusterSnapshot {
  const snapshot = made.get(seed) ?? make(seed);
  made.set(seed, snapshot);
  return snapshot;
}

function make(seed: number): ClusterSnapshot {
  const random = seeded(seed);
  const names = NAMES.filter(() => random() < 0.6);
  const machines = Array.from({ length: 1 + Math.floor(random() * 6) }, (_, index) => `m${index + 1}`);
  const withUnits = names.reduce<ClusterBuilder>(
    (builder, name) => builder.unit(name, placement(random, name), assignment(random, name, machines)),
    cluster(),
  );
  const { units } = withUnits.snapshot();
  return machines
    .reduce((builder, name) => randomMachine(random, builder, name, units), withUnits)
    .snapshot();
}

/** The same cluster in another order. */
export function shuffled(snapshot: ClusterSnapshot, seed: number): ClusterSnapshot {
  const random = seeded(seed);
  const shuffle = <T>(items: readonly T[]): readonly T[] =>
    items
      .map((item) => ({ item, at: random() }))
      .sort((a, b) => a.at - b.at)
      .map(({ item }) => item);
  const machine = (view: MachineView): MachineView =>
    view.observation === undefined
      ? view
      : { ...view, observation: { ...view.observation, units: shuffle(view.observation.units) } };
  return { ...snapshot, units: shuffle(snapshot.units), machines: shuffle(snapshot.machines.map(machine)) };
}

function placement(random: Random, name: string): string {
  const lines: string[] = [];
  const global = random() < 0.2;
  if (global) lines.push('Global=true');
  if (random() < 0.3) lines.push(`MachineMetadata=role=${pick(random, ['web', 'db'])}`);
  if (random() < 0.1) lines.push('MachineMetadata=role=web disk=ssd');
  const conflict = random() < 0.3 ? pick(random, ['s@*.service', 'a.*', '*.timer', 'g.service', 't@*']) : '';
  lines.push(`Conflicts=${conflict}`);
  // A unit file with contradictory options is refused earlier.
  const peers = conflict === '' ? [...PEERS, 'a.timer'] : PEERS;
  const peer = pick(
    random,
    peers.filter((candidate) => candidate !== name),
  );
  if (!global && random() < 0.25) lines.push(`MachineOf=${peer}`);
  if (!global && random() < 0.05) lines.push('MachineID=6d320000');
  lines.push(...rolloutLines(name, lines.length));
  return lines.join('\n');
}

/** Options without effect on placement; they draw nothing. */
function rolloutLines(name: string, dice: number): readonly string[] {
  const limit = ['MaxParallel=2', 'MaxParallel=50%', ''][(name.length + dice) % 3] ?? '';
  return [
    limit,
    ...(dice % 3 === 0
      ? ['OnFailedUpdate=revert', 'HealthyFor=2s', 'HealthExec=true', 'HealthyWithin=5s']
      : []),
  ].filter((line) => line !== '');
}

/** Peers that no glob above matches. */
const PEERS: readonly string[] = ['b.service', 'c.service', 'd.service', 'b.socket', 'not-there.service'];

function assignment(random: Random, name: string, machines: readonly string[]) {
  const isTriggered = name === 'a.service' || name === 'b.service';
  const options = {
    target:
      isTriggered && random() < 0.6
        ? ('loaded' as const)
        : random() < 0.7
          ? ('launched' as const)
          : pick(random, TARGET_STATES),
    token: 1 + Math.floor(random() * 50),
  };
  return random() < 0.5 ? options : { ...options, machine: pick(random, [...machines, ...machines, 'm9']) };
}

function randomMachine(
  random: Random,
  builder: ClusterBuilder,
  name: string,
  units: readonly DesiredUnit[],
): ClusterBuilder {
  const metadata = {
    ...(random() < 0.7 && { role: pick(random, ['web', 'db']) }),
    ...(random() < 0.5 && { disk: 'ssd' }),
  };
  const dice = random();
  if (dice < 0.05) return builder.never(name, metadata);
  if (dice < 0.25) {
    const code = pick(random, ['ssh-timeout', 'ssh-refused', 'ssh-host-key', 'remote-script']);
    return builder.unreachable(name, pick(random, [0, TTL_MS - 1, TTL_MS, TTL_MS * 9]), metadata, { code });
  }
  const owner = pick(random, ['ours', 'ours', 'ours', 'ours', 'ours', 'ours', 'none', 'other']);
  const cluster = owner === 'other' ? { cluster: 'other' } : owner === 'none' ? { cluster: undefined } : {};
  const here = units.filter(() => random() < 0.4).map((unit) => randomObserved(random, unit));
  return builder.machine(name, metadata, { ...cluster, units: here });
}

const SEEN: readonly StateName[] = [
  'running',
  'dead',
  'failed',
  'restarting',
  'starting',
  'stopping',
  'finished',
];

function randomObserved(random: Random, unit: DesiredUnit): ObservedUnit {
  const dice = random();
  const { name } = unit;
  if (dice < 0.1) return foreignUnit(name, random() < 0.5 ? { active: 'active', sub: 'running' } : {});
  const unknown = { name, state: systemdState('unknown'), record: undefined, digest: undefined };
  if (dice < 0.3) return unknown;
  const seen = observedUnit(unit, { state: systemdState(pick(random, SEEN)) });
  const record = seen.record && {
    ...seen.record,
    token: Math.max(1, unit.token + pick(random, [-3, -1, 0, 0, 0, 0, 2])),
    target: pick(random, ['loaded', 'launched'] as const),
  };
  if (dice < 0.4) return { ...seen, record, digest: undefined, state: systemdState('unknown') };
  if (dice < 0.6) return { ...seen, record: record && { ...record, digest: 'old' }, digest: 'old' };
  return { ...seen, record };
}
