import { SLEEPER } from './fleet.js';
import { Fleetd } from './fleetd.js';
import { limit, worst } from './report.js';
import { pause, run } from './run.js';

/** A whole period of the waits for a change (60 s), and several of the observations (10 s). */
const IDLE_MS = 60_000;
/** The time in which a fleetd that was just started comes to rest, and does so after a change, in ms. */
const REST_MS = 10_000;
const QUIET_MS = 3_000;
const DEADLINE_MS = 30_000;
const SETTINGS = { registry: 'machines', agent_ttl: '30s' };
const PROBE = 'probe.service';
/** In turns, the machine that a unit has to leave, and the other one. */
const WAYS = [
  ['b1', 'b2'],
  ['b2', 'b1'],
];

/**
 * What a fleetd that has nothing to do costs each voter of a registry on the machines, and the time from the end of a command to the
 * log line about its change. A round is a minute without work and two changes; the machines are measured without fleetd once before.
 */
export async function voters({ fleet, cluster, machines }, rounds) {
  const results = [
    { name: 'CPU of a core, the busiest voter', times: [], unit: '%' },
    { name: 'CPU of a core, all voters', times: [], unit: '%' },
    { name: 'reaction', times: [] },
  ];
  const [busiest, all, reaction] = results;
  await fleet.moveRegistry('machines', cluster);
  try {
    await setMachine(fleet, 'b1', 'metadata+=probe=on');
    await run(fleet.commandWith(SETTINGS, 'start', fleet.writeUnit(PROBE, TEXT)));
    const without = await idleCosts(cluster);
    const fleetd = await Fleetd.start(fleet, SETTINGS);
    try {
      for (let round = 0; round < rounds; round++) {
        await pause(REST_MS);
        const costs = await idleCosts(cluster);
        const added = costs.map((cost, index) => cost - without[index]);
        busiest.times.push(Math.max(...added));
        all.times.push(added.reduce((sum, cost) => sum + cost, 0));
        for (const way of WAYS) reaction.times.push(await react(fleet, fleetd, way));
      }
    } finally {
      await fleetd.stop();
    }
    await run(fleet.commandWith(SETTINGS, 'destroy', PROBE));
  } finally {
    await fleet.moveRegistry('file', cluster);
  }
  return {
    title: `fleetd with its registry on ${machines} voters, agent_ttl 30 s`,
    results,
    checks: [
      limit(results, busiest.name, 1),
      { label: 'reaction, worst', value: worst(reaction.times), budget: 1_500, unit: 'ms' },
    ],
  };
}

const TEXT = `${SLEEPER}\n[X-Fleet]\nMachineMetadata=probe=on\n`;

/** The CPU time of all processes of each machine, in % of a core. */
async function idleCosts(cluster) {
  const cpu = () => cluster.machines.map(({ name }) => cluster.cpuOf(name));
  const before = cpu();
  await pause(IDLE_MS);
  return cpu().map((now, index) => ((now - before[index]) / IDLE_MS) * 100);
}

async function setMachine(fleet, machine, change) {
  await run(fleet.commandWith(SETTINGS, 'machines', 'set', machine, change));
}

/** From the end of the command after which the unit has to move to the log line, in ms. */
async function react(fleet, { log }, [from, to]) {
  const line = `unit ${PROBE} moves from "${from}"`;
  await setMachine(fleet, to, 'metadata+=probe=on');
  await pause(QUIET_MS);
  const seen = log.length;
  await setMachine(fleet, from, 'metadata-=probe');
  const ended = performance.now();
  for (;;) {
    const found = log.slice(seen).find(({ text }) => text.includes(line));
    if (found !== undefined) {
      await pause(QUIET_MS);
      return Math.max(0, found.at - ended);
    }
    if (performance.now() > ended + DEADLINE_MS) throw new Error(`fleetd did not log "${line}"`);
    await pause(5);
  }
}
