import { compare } from './compare.js';
import { SLEEPER } from './fleet.js';
import { Fleetd } from './fleetd.js';
import { limit, ratio } from './report.js';
import { pause, run } from './run.js';

/** The settle window of fleet.conf by default, in ms. */
const SETTLE_MS = 500;

/** Start of a new unit from its file, beside the commands that do the same on one machine. */
export async function startOne({ fleet, baselines, machines }, rounds) {
  const leader = new Leader(fleet);
  const direct = leader.with(false);
  const led = leader.with(true);
  const starts = [
    starter(fleet, 'start, settle = 0', { settle: '0ms' }, direct),
    starter(fleet, 'start', {}, direct),
    starter(fleet, 'start through fleetd, settle = 0', { settle: '0ms' }, led),
    starter(fleet, 'start through fleetd', {}, led),
  ];
  const sequences = [
    sequence(fleet, baselines, 'scp, ssh daemon-reload, ssh start', false),
    sequence(fleet, baselines, 'the same with curve25519-sha256', true),
  ].map((candidate) => ({ ...candidate, ...direct }));
  try {
    const results = await compare([...starts.slice(0, 2), ...sequences, ...starts.slice(2)], rounds);
    const budgets = [350, 350 + SETTLE_MS, 300, 300 + SETTLE_MS];
    return {
      title: `Starting a unit from its file, ${machines} machines`,
      results,
      checks: [
        ...budgets.map((budget, index) => limit(results, starts[index].name, budget)),
        ...sequences.map(({ name }) => ratio(results, starts[0].name, name)),
      ],
    };
  } finally {
    await leader.stop();
  }
}

/** A fleetd, through which fleetctl starts units when it runs. It runs only
 * while a candidate needs it. */
class Leader {
  #fleet;
  #fleetd;

  constructor(fleet) {
    this.#fleet = fleet;
  }

  with(isLed) {
    const before = async () => {
      if (!isLed) return this.stop();
      if (this.#fleetd !== undefined) return;
      this.#fleetd = await Fleetd.start(this.#fleet, {});
      await pause(1_000);
    };
    return { before };
  }

  async stop() {
    const fleetd = this.#fleetd;
    this.#fleetd = undefined;
    await fleetd?.stop();
  }
}

/** Starts a new unit from a file, and destroys it after each round. */
function starter(fleet, name, settings, { before }) {
  const unitOf = (round) => `${name.replaceAll(/\W+/g, '-')}-${round}.service`;
  return {
    name,
    before,
    command: (round) => fleet.commandWith(settings, 'start', fleet.writeUnit(unitOf(round), SLEEPER)),
    isRight: (stdout) => / launched on /.test(stdout),
    after: async (round) => {
      await run(fleet.command('destroy', unitOf(round)));
    },
  };
}

function sequence(fleet, baselines, name, isQuick) {
  const unitOf = (round) => `sequence-${isQuick}-${round}.service`;
  return {
    name,
    command: (round) =>
      baselines.copyReloadStart(isQuick, fleet.writeUnit(unitOf(round), SLEEPER), unitOf(round)),
    after: async (round) => {
      const unit = unitOf(round);
      const path = `/etc/systemd/system/${unit}`;
      await run(baselines.ssh(`systemctl stop ${unit} && rm ${path} && systemctl daemon-reload`));
    },
  };
}

const MANY = 200;

/** Start and destroy of many instances in one command. */
export async function startMany({ fleet, cluster, machines }, rounds) {
  const units = Array.from({ length: MANY }, (_, index) => `many@${index + 1}.service`);
  const results = ['running', 'start returns', 'gone', 'destroy returns'].map((name) => ({
    name,
    times: [],
  }));
  for (let round = 0; round <= rounds; round++) {
    await run(fleet.command('submit', fleet.writeUnit('many@.service', SLEEPER)));
    const times = [
      ...(await timed(fleet.command('start', ...units), () => cluster.instancesRunning('many') === MANY)),
      ...(await timed(fleet.command('destroy', ...units), () => cluster.instancesRunning('many') === 0)),
    ];
    await run(fleet.command('destroy', 'many@.service'));
    if (round > 0) for (const [index, ms] of times.entries()) results[index].times.push(ms);
  }
  const budgets = [1_500, 2_000 + SETTLE_MS, undefined, 1_500];
  return {
    title: `${MANY} instances in one command, ${machines} machines`,
    results,
    checks: budgets.flatMap((budget, index) => (budget ? [limit(results, results[index].name, budget)] : [])),
  };
}

/** The times in ms until `holds`, and until the command returns. */
async function timed(words, holds) {
  const begun = performance.now();
  const returned = run(words);
  let isOver = false;
  const end = () => {
    isOver = true;
  };
  returned.then(end, end);
  while (!holds() && !isOver) await pause(10);
  const held = performance.now() - begun;
  const { ms } = await returned;
  return [held, ms];
}
