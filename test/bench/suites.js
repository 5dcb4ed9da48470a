import { failOver } from './failover.js';
import { planFolder } from './folders.js';
import { idle } from './idle.js';
import { latency } from './latency.js';
import { listThroughFleetd, listUnits } from './lists.js';
import { registryPlaces } from './places.js';
import { scheduling, tables } from './pure.js';
import { largeRegistry } from './registry.js';
import { startMany, startOne } from './starts.js';
import { startUp } from './startup.js';
import { voters } from './voters.js';

/**
 * @typedef {object} Suite
 * @property {string} name value of --only
 * @property {string} about what it measures, in a few words
 * @property {number} machines how many it needs
 * @property {number} rounds the default number
 * @property {number} quick the number with --quick; 0 leaves it out
 * @property {(context: SuiteContext, rounds: number) => Promise<import('./report.js').Outcome>} measure
 *
 * @typedef {object} SuiteContext
 * @property {import('./fleet.js').Fleet} fleet
 * @property {import('./cluster.js').Cluster} cluster
 * @property {import('./baselines.js').Baselines} baselines
 * @property {number} machines
 * @property {(line: string) => void} say
 */

const failOverAt = (seconds) => (context, rounds) => failOver(context, rounds, seconds);

/** In the order of their runs, because the cluster only grows. @type {readonly Suite[]} */
export const SUITES = [
  ['tables', 'rendering tables of thousands of rows', 0, 11, 5, tables],
  ['schedule', 'decisions about thousands of units', 0, 21, 3, scheduling],
  ['start-up', '--version, help and completion', 3, 21, 5, startUp],
  ['start', 'start of a unit, with and without fleetd', 3, 9, 3, startOne],
  ['latency', 'round trips to machines that are 100 ms away', 3, 5, 1, latency],
  ['registry', 'commands on a registry of 5,000 units', 3, 9, 3, largeRegistry],
  ['list-units', 'lists from machines', 3, 11, 3, listUnits],
  ['fleetd', 'lists through fleetd, with 500 units', 3, 11, 3, listThroughFleetd],
  ['idle', 'fleetd and machines that have nothing to do', 3, 3, 1, idle],
  ['plan', 'plans of a folder with 500 unit files', 3, 9, 1, planFolder],
  ['voters', 'fleetd with its registry on three machines', 3, 3, 1, voters],
  ['many', 'start and destroy of 200 instances', 10, 9, 1, startMany],
  ['failover', 'the time until units of a lost machine run elsewhere', 10, 10, 1, failOverAt(5)],
  ['failover', '', 10, 3, 0, failOverAt(30)],
  ['places', 'registries in a folder, on the machines and in etcd', 12, 9, 1, registryPlaces],
  ['list-units', '', 40, 9, 3, listUnits],
].map(([name, about, machines, rounds, quick, measure]) => ({
  name,
  about,
  machines,
  rounds,
  quick,
  measure,
}));
