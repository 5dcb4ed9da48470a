import { setTimeout as sleep } from 'node:timers/promises';
import { compare } from './compare.js';
import { SLEEPER, UNITS } from './fleet.js';
import { Fleetd } from './fleetd.js';
import { interruption, run } from './run.js';

/** Lists from a controller compared with lists from machines. */
export async function listThroughController({ fleet, machines }, rounds) {
  const list = (name, endpoint) => ({
    name,
    command: () => fleet.commandOf('fleetctl', '30s', 'list-units', '--endpoint', endpoint),
    isRight: (stdout) => stdout.match(/ {2}active {2}running$/gm)?.length === machines * UNITS.length,
  });
  const through = list('fleetctl list-units, through fleetd', `unix://${fleet.socket}`);
  const direct = list('fleetctl list-units', 'none');
  const version = { name: 'fleetctl --version', command: () => [fleet.program, '--version'] };
  const fleetd = await Fleetd.start(fleet.commandOf('fleetd', '30s'), fleet.socket);
  try {
    return {
      title: `Listing units through fleetd, ${machines} machines, ${UNITS.length} units on each`,
      results: await compare([through, direct, version], rounds),
      ratios: [
        { of: through.name, to: direct.name, budget: 1 },
        { of: through.name, to: version.name },
      ],
    };
  } finally {
    await fleetd.stop();
  }
}

const IDLE_UNITS = 500;
const MINUTE = 60_000;

/** The CPU time of a controller that has nothing to do. A round is a minute. */
export async function idle({ fleet, cluster, machines }, rounds) {
  const units = Array.from({ length: IDLE_UNITS }, (_, index) => `idle@${index + 1}.service`);
  await run(fleet.command('submit', fleet.writeUnit('idle@.service', SLEEPER)));
  await run(fleet.command('start', ...units));
  const fleetd = await Fleetd.start(fleet.commandOf('fleetd', '30s'), fleet.socket);
  const used = { fleetd: [], machines: [], total: [] };
  try {
    await pause(MINUTE / 6);
    for (let round = 0; round < rounds; round++) {
      const before = [fleetd.cpu, cluster.cpu];
      await pause(MINUTE);
      const [controller, others] = [fleetd.cpu - before[0], cluster.cpu - before[1]];
      used.fleetd.push(controller);
      used.machines.push(others);
      used.total.push(controller + others);
    }
    return {
      title: `CPU time in a minute of idling, ${IDLE_UNITS} units on ${machines} machines, agent_ttl 30 s`,
      results: Object.entries(used).map(([name, times]) => ({ name, times })),
      notes: [`fleetd has ${fleetd.memory.toFixed(0)} MiB`],
    };
  } finally {
    await fleetd.stop();
    await run(fleet.command('destroy', ...units));
  }
}

const FAILS = 'fails.service';

/** How long a unit is down after its machine loses power, and how long there are two copies when the machine is back. */
export async function failOver({ fleet, cluster, machines }, rounds) {
  await run(fleet.command('start', fleet.writeUnit(FAILS, SLEEPER)));
  const fleetd = await Fleetd.start(fleet.commandOf('fleetd', '5s'), fleet.socket);
  const [down, doubled] = [[], []];
  try {
    for (let round = 0; round < rounds; round++) {
      const [victim] = cluster.machinesRunning(FAILS);
      const killed = performance.now();
      await cluster.runVerb('kill', victim);
      await until(() => cluster.machinesRunning(FAILS).length > 0);
      down.push(performance.now() - killed);
      const starting = cluster.runVerb('start', victim);
      await until(() => cluster.machinesRunning(FAILS).length > 1);
      const back = performance.now();
      await until(() => cluster.machinesRunning(FAILS).length === 1);
      doubled.push(performance.now() - back);
      await starting;
      // Units move only to machines that have been reachable for agent_ttl.
      await pause(7_000);
    }
    return {
      title: `Failover after power loss, ${machines} machines, agent_ttl 5 s`,
      results: [
        { name: 'power loss until it runs elsewhere', times: down },
        { name: 'two copies, once the machine has booted', times: doubled },
      ],
      notes: [`each, in s: ${down.map((ms) => (ms / 1000).toFixed(2)).join(' ')}`],
    };
  } finally {
    await fleetd.stop();
    await run(fleet.command('destroy', FAILS));
  }
}

function pause(ms) {
  return sleep(ms, undefined, { signal: interruption.signal });
}

/** Polls every 5 ms, for a minute at most. */
async function until(holds) {
  const end = performance.now() + MINUTE;
  while (!holds()) {
    if (performance.now() > end) throw new Error('the condition did not hold within a minute');
    await pause(5);
  }
}
