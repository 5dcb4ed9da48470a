import { setTimeout as sleep } from 'node:timers/promises';
import { Fleetd } from './fleetd.js';
import { withInstances } from './lists.js';
import { limit, worst } from './report.js';
import { pause } from './run.js';

const SSHD_DIES = 'systemctl kill --signal=KILL sshd; systemctl stop sshd';

/** Each loses a machine at once, or resolves when it has; `heal` undoes it. */
const CAUSES = [
  {
    name: 'power loss',
    lose: (cluster, machine) => cluster.runVerb('kill', machine),
    heal: (cluster, machine) => cluster.runVerb('start', machine),
  },
  {
    name: 'hang',
    lose: (cluster, machine) => cluster.runVerb('hang', machine),
    heal: (cluster, machine) => cluster.runVerb('resume', machine),
  },
  {
    name: 'network cut',
    lose: (cluster, machine) => cluster.runVerb('cut', machine),
    heal: (cluster, machine) => cluster.runVerb('heal', machine),
  },
  {
    name: 'dead SSH server',
    lose: (cluster, machine) => cluster.runVerb('exec', machine, 'sh', '-c', SSHD_DIES),
    heal: (cluster, machine) => cluster.runVerb('exec', machine, 'systemctl', 'start', 'sshd'),
  },
  {
    name: 'network cut, then power loss',
    lose: async (cluster, machine, ttlMs) => {
      await cluster.runVerb('cut', machine);
      await sleep(ttlMs / 3);
      await cluster.runVerb('kill', machine);
    },
    heal: async (cluster, machine) => {
      await cluster.runVerb('heal', machine);
      await cluster.runVerb('start', machine);
    },
  },
];

const TEMPLATE = 'failover';
/** The time between the losses of two machines, in ms, so that they do not compete for the box. */
const STAGGER_MS = 1_000;

/** The time from the loss of a machine until its unit runs on another one. All causes happen in every round. */
export function failOver(context, rounds, ttlSeconds) {
  const { fleet, cluster, machines } = context;
  const ttlMs = ttlSeconds * 1000;
  return withInstances(context, TEMPLATE, CAUSES.length, async (units) => {
    const fleetd = await Fleetd.start(fleet, { agent_ttl: `${ttlSeconds}s` });
    const results = CAUSES.map(({ name }) => ({ name, times: [] }));
    try {
      for (let round = 0; round < rounds; round++) {
        // Units move only to machines that have been reachable for agent_ttl.
        await pause(ttlMs + 2_000);
        const times = await Promise.all(
          CAUSES.map(async (cause, index) => {
            await pause(index * STAGGER_MS);
            return loseOnce(cluster, cause, units[index], ttlMs);
          }),
        );
        for (const [index, ms] of times.entries()) results[index].times.push(ms);
        await until(() => units.every((unit) => cluster.machinesRunning(unit).length === 1), ttlMs);
      }
    } finally {
      await fleetd.stop();
    }
    return {
      title: `Failover, ${machines} machines, agent_ttl ${ttlSeconds} s`,
      results,
      checks: results.map(({ name }) => limit(results, name, ttlMs + 1_000, worst)),
    };
  });
}

/** Ms until the unit runs on another machine. The lost machine is healed when this resolves or rejects. */
async function loseOnce(cluster, { lose, heal }, unit, ttlMs) {
  const [victim] = cluster.machinesRunning(unit);
  const begun = performance.now();
  const lost = lose(cluster, victim, ttlMs);
  try {
    await until(() => cluster.machinesRunning(unit).some((machine) => machine !== victim), ttlMs);
    return performance.now() - begun;
  } finally {
    await lost;
    await heal(cluster, victim);
  }
}

/** Polls every 5 ms, for a minute and twice agent_ttl at most. */
async function until(holds, ttlMs) {
  const end = performance.now() + 60_000 + 2 * ttlMs;
  while (!holds()) {
    if (performance.now() > end) throw new Error('the units do not run where they should');
    await pause(5);
  }
}
