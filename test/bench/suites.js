import { compare } from './compare.js';
import { failOver, idle, listThroughController } from './controller.js';
import { SLEEPER, UNITS } from './fleet.js';
import { run } from './run.js';

/**
 * @typedef {object} Suite
 * @property {string} name value of --only
 * @property {number} machines how many it needs
 * @property {number} rounds the default number
 * @property {(context: SuiteContext, rounds: number) => Promise<import('./report.js').Outcome>} measure
 *
 * @typedef {object} SuiteContext
 * @property {import('./fleet.js').Fleet} fleet
 * @property {import('./cluster.js').Cluster} cluster
 * @property {import('./baselines.js').Baselines} baselines
 * @property {number} machines
 * @property {string | undefined} clushObstacle the reason why clush is left out
 */

/** In the order of their runs, because the cluster only grows. @type {readonly Suite[]} */
export const SUITES = [
  { name: 'version', machines: 0, rounds: 21, measure: version },
  { name: 'start', machines: 3, rounds: 9, measure: startOne },
  { name: 'everyday', machines: 3, rounds: 5, measure: everyday },
  { name: 'list-units', machines: 3, rounds: 11, measure: listUnits },
  { name: 'controller', machines: 3, rounds: 11, measure: listThroughController },
  { name: 'idle', machines: 3, rounds: 3, measure: idle },
  { name: 'failover', machines: 3, rounds: 10, measure: failOver },
  { name: 'list-units', machines: 10, rounds: 9, measure: listUnits },
  { name: 'many', machines: 10, rounds: 3, measure: startMany },
  { name: 'list-units', machines: 40, rounds: 5, measure: listUnits },
  { name: 'controller', machines: 40, rounds: 5, measure: listThroughController },
];

async function version({ fleet }, rounds) {
  const results = await compare(
    [
      { name: 'fleetctl --version', command: () => [fleet.program, '--version'] },
      { name: 'node -e 0', command: () => ['node', '-e', '0'] },
    ],
    rounds,
  );
  return {
    title: 'Starting up',
    results,
    ratios: [{ of: 'fleetctl --version', to: 'node -e 0', budget: 1.7 }],
  };
}

async function startOne({ fleet, baselines, machines }, rounds) {
  const three = 'scp, ssh daemon-reload, ssh start';
  const sequence = {
    name: three,
    command: (round) => {
      const unit = `three-${round}.service`;
      return baselines.copyReloadStart(fleet.writeUnit(unit, SLEEPER), unit);
    },
    after: async (round) => {
      const unit = `three-${round}.service`;
      await run(
        baselines.ssh(`systemctl stop ${unit} && rm /etc/systemd/system/${unit} && systemctl daemon-reload`),
      );
    },
  };
  const unsettled = starter(fleet, 'fleetctl start, no settle window', 'commandWithoutSettling');
  const settled = starter(fleet, 'fleetctl start', 'command');
  return {
    title: `Starting a unit from its file, ${machines} machines`,
    results: await compare([unsettled, sequence, settled, reference(baselines)], rounds),
    ratios: [
      { of: unsettled.name, to: three, budget: 0.5 },
      { of: settled.name, to: three },
    ],
  };
}

async function everyday({ fleet, baselines, machines }, rounds) {
  const lists = ['list-units', 'list-unit-files', 'list-machines'].map((verb) => ({
    name: `fleetctl ${verb}`,
    command: () => fleet.command(verb),
    isRight: (stdout) => stdout.split('\n').length > machines && !stdout.includes('unreachable'),
  }));
  const starters = [
    starter(fleet, 'fleetctl start', 'command'),
    starter(fleet, 'fleetctl start, no settle window', 'commandWithoutSettling'),
  ];
  return {
    title: `Everyday commands, ${machines} machines`,
    results: await compare([...starters, ...lists, reference(baselines)], rounds),
  };
}

/** Starts a new unit from a file, and destroys it after each round. */
function starter(fleet, name, command) {
  const unitOf = (round) => `${command.toLowerCase()}-${round}.service`;
  return {
    name,
    command: (round) => fleet[command]('start', fleet.writeUnit(unitOf(round), SLEEPER)),
    isRight: (stdout) => / launched on /.test(stdout),
    after: async (round) => {
      await run(fleet.command('destroy', unitOf(round)));
    },
  };
}

/** The cost of a connection with a command that does nothing. */
function reference(baselines) {
  return { name: 'ssh HOST true', command: () => baselines.ssh('true') };
}

async function listUnits({ fleet, baselines, machines, clushObstacle }, rounds) {
  const show = ['systemctl', 'show', '--property=Id,LoadState,ActiveState,SubState', ...UNITS];
  const rows = machines * UNITS.length;
  const isRight = (stdout) => stdout.split('ActiveState=active\n').length - 1 === rows;
  const list = {
    name: 'fleetctl list-units',
    command: () => fleet.command('list-units'),
    isRight: (stdout) => stdout.match(/ {2}active {2}running$/gm)?.length === rows,
  };
  const ssh = { name: 'ssh systemctl show', command: () => baselines.sshEverywhere([], ...show), isRight };
  const exchange = 'KexAlgorithms=curve25519-sha256';
  const quickSsh = {
    name: 'ssh, curve25519-sha256',
    command: () => baselines.sshEverywhere(['-o', exchange], ...show),
    isRight,
  };
  const clush = { name: 'clush systemctl show', command: () => baselines.clush(...show), isRight };
  const others = [ssh, quickSsh, ...(clushObstacle === undefined ? [clush] : [])];
  return {
    title: `Listing units, ${machines} machines, ${UNITS.length} units on each`,
    results: await compare([list, ...others, reference(baselines)], rounds),
    ratios: others.map(({ name }) => ({
      of: list.name,
      to: name,
      ...(name === ssh.name && { budget: machines >= 40 ? 0.5 : 1 }),
    })),
    notes: clushObstacle === undefined ? [] : [clushObstacle],
  };
}

const INSTANCES = 100;

async function startMany({ fleet, machines }, rounds) {
  const units = Array.from({ length: INSTANCES }, (_, index) => `many@${index + 1}.service`);
  await run(fleet.command('submit', fleet.writeUnit('many@.service', SLEEPER)));
  const counts = [];
  const start = {
    name: `fleetctl start, ${INSTANCES} instances`,
    command: () => fleet.command('start', ...units),
    isRight: (stdout) => stdout.match(/ launched on /g)?.length === INSTANCES,
    after: async () => {
      const running = await runningInstances(fleet);
      counts.push(...running, ...Array(machines - running.length).fill(0));
    },
  };
  const destroy = {
    name: `fleetctl destroy, ${INSTANCES} instances`,
    command: () => fleet.command('destroy', ...units),
    isRight: (stdout) => stdout.match(/^Destroyed /gm)?.length === INSTANCES,
  };
  const results = await compare([start, destroy], rounds);
  const spread = `${Math.min(...counts)} to ${Math.max(...counts)} instances on a machine`;
  return { title: `Many instances in one command, ${machines} machines`, results, notes: [spread] };
}

/** The number of running instances of each machine that has any. */
async function runningInstances(fleet) {
  const { stdout } = await run(fleet.command('list-units', '--output', 'json'));
  const counts = new Map();
  for (const { unit, machine, sub } of JSON.parse(stdout).units) {
    if (sub === 'running' && unit.startsWith('many@'))
      counts.set(machine.id, (counts.get(machine.id) ?? 0) + 1);
  }
  return [...counts.values()];
}
