import { installProgram } from './baselines.js';
import { compare, median } from './compare.js';
import { SLEEPER, UNITS } from './fleet.js';
import { Fleetd } from './fleetd.js';
import { limit, ratio, resultOf } from './report.js';
import { run } from './run.js';

const MOST_MIB = 70;
const MOST_CPU_MS = 10;

/** Lists from machines, beside programs that run the same query. */
export async function listUnits({ fleet, baselines, machines, say }, rounds) {
  const show = ['systemctl', 'show', '--property=Id,LoadState,ActiveState,SubState', ...UNITS];
  const rows = machines * UNITS.length;
  const isRight = (stdout) => stdout.split('ActiveState=active\n').length - 1 === rows;
  const list = {
    name: 'fleetctl list-units',
    command: () => fleet.command('list-units', '--endpoint', 'none'),
    isRight: (stdout) => stdout.match(/ {2}active {2}running$/gm)?.length === rows,
  };
  const obstacle = await installProgram('clush', 'clustershell', say);
  const others = [
    { name: 'ssh, curve25519-sha256', command: () => baselines.sshEverywhere(true, ...show), isRight },
    { name: 'ssh', command: () => baselines.sshEverywhere(false, ...show), isRight },
    ...(obstacle === undefined ? [{ name: 'clush', command: () => baselines.clush(...show), isRight }] : []),
  ];
  const results = await compare([list, ...others], rounds);
  const [{ name: quickest }] = others;
  const isLarge = machines >= 40;
  const memory = isLarge ? [{ name: 'memory', times: await peaks(list.command(), rounds), unit: 'MiB' }] : [];
  const checks = others.map(({ name }) =>
    ratio(results, list.name, name, name !== quickest ? undefined : isLarge ? 0.9 : 1),
  );
  if (isLarge) {
    const cpu = median(resultOf(results, list.name).cpu) / machines;
    checks.push({ label: 'CPU time for each machine', value: cpu, budget: MOST_CPU_MS, unit: 'ms' });
    checks.push(limit(memory, 'memory', MOST_MIB));
  }
  return {
    title: `Listing units, ${machines} machines, ${UNITS.length} units on each`,
    results: [...results, ...memory],
    checks,
    notes: obstacle === undefined ? [] : [obstacle],
  };
}

/** The largest resident memory of a command, in MiB, in each round; it is watched apart from the times. */
async function peaks(command, rounds) {
  const found = [];
  for (let round = 0; round < rounds; round++)
    found.push((await run(command, { watchesMemory: true })).peakMiB);
  return found;
}

/** The number of instances, with the units that run everywhere 512. */
export const INSTANCES = 500;

/** Runs `measure` with a template's instances on the machines. */
export async function withInstances({ fleet }, template, count, measure) {
  const units = Array.from({ length: count }, (_, index) => `${template}@${index + 1}.service`);
  await run(fleet.command('submit', fleet.writeUnit(`${template}@.service`, SLEEPER)));
  await run(fleet.command('start', ...units));
  try {
    return await measure(units);
  } finally {
    await run(fleet.command('destroy', ...units), { outlivesInterruption: true });
  }
}

/** Prints the answer from which fleetctl makes a list, as it is. */
const CLIENT = `require('node:http').get(
  { socketPath: process.argv[1], path: '/fleet/v2/snapshot', agent: false }, (answer) => answer.pipe(process.stdout))`;

/** Lists through fleetd, beside an empty program. */
export function listThroughFleetd(context, rounds) {
  const { fleet } = context;
  return withInstances(context, 'listed', INSTANCES, async () => {
    const fleetd = await Fleetd.start(fleet, {});
    try {
      const list = (name, ...words) => ({
        name,
        command: () => fleet.command(...words, '--endpoint', fleet.endpoint),
        isRight: (stdout) => stdout.length > 100,
      });
      const verbs = ['list-units', 'list-machines', 'list-unit-files'];
      const lists = verbs.map((verb) => list(verb, verb));
      const json = list('list-units -o json', 'list-units', '-o', 'json');
      const direct = {
        name: 'list-units from the machines',
        command: () => fleet.command('list-units', '--endpoint', 'none'),
      };
      const node = { name: 'node -e 0', command: () => ['node', '-e', '0'] };
      // What a list needs at least: it reads the socket and prints.
      const client = {
        name: 'client of one line',
        command: () => ['node', '-e', CLIENT, fleet.socket],
        isRight: (stdout) => stdout.length > 100,
      };
      const results = await compare([...lists, json, direct, client, node], rounds);
      const memory = { name: 'memory of fleetd', times: [fleetd.memory], unit: 'MiB' };
      return {
        title: `Lists through fleetd, ${INSTANCES + 3 * UNITS.length} units on 3 machines`,
        results: [...results, memory],
        checks: [
          ...verbs.map((verb) => ratio(results, verb, node.name, 4)),
          ratio(results, json.name, node.name, 2.5),
          ratio(results, client.name, node.name),
          limit([memory], memory.name, 80),
        ],
      };
    } finally {
      await fleetd.stop();
    }
  });
}
