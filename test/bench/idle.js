import { Fleetd } from './fleetd.js';
import { INSTANCES, withInstances } from './lists.js';
import { limit } from './report.js';
import { pause } from './run.js';

const MINUTE = 60_000;
/** Version 0.1.0 used 310 to 370 ms, and its machines 730 to 1,220 ms. */
const BUDGETS = { fleetd: 400, machines: 1_250 };

/** The CPU time of a controller that has nothing to do, and of the machines that answer it. A round is a minute. */
export function idle(context, rounds) {
  const { fleet, cluster, machines } = context;
  return withInstances(context, 'idle', INSTANCES, async () => {
    const fleetd = await Fleetd.start(fleet, { agent_ttl: '30s' });
    const results = ['fleetd', 'machines'].map((name) => ({ name, times: [] }));
    try {
      await pause(MINUTE / 6);
      for (let round = 0; round < rounds; round++) {
        const before = [fleetd.cpu, cluster.cpu];
        await pause(MINUTE);
        for (const [index, now] of [fleetd.cpu, cluster.cpu].entries())
          results[index].times.push(now - before[index]);
      }
    } finally {
      await fleetd.stop();
    }
    return {
      title: `CPU time of an idle minute, ${INSTANCES + 4 * machines} units on ${machines} machines, agent_ttl 30 s`,
      results,
      checks: Object.entries(BUDGETS).map(([name, budget]) => limit(results, name, budget)),
    };
  });
}
