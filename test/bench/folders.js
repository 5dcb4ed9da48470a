import { dirname } from 'node:path';
import { installProgram } from './baselines.js';
import { compare } from './compare.js';
import { SLEEPER } from './fleet.js';
import { limit, ratio } from './report.js';
import { run } from './run.js';

const UNITS = 500;
/** The rounds of ansible, which takes three minutes. */
const FEW = 1;

/** The plan of a folder of unit files, beside the check of a playbook that copies the same files to the same machines. */
export async function planFolder({ fleet, cluster, baselines, say }, rounds) {
  const names = Array.from({ length: UNITS }, (_, index) => `planned-${index + 1}.service`);
  const write = (folder, text) => names.map((name) => fleet.writeUnit(`${folder}/${name}`, text));
  const files = write('planned', SLEEPER);
  const folder = dirname(files[0]);
  write('changed/planned', `${SLEEPER}Nice=1\n`);
  const fresh = files.map((_, index) => fleet.writeUnit(`fresh/fresh-${index}.service`, SLEEPER));
  await run(fleet.command('apply', folder, '--yes'));
  try {
    const plan = (name, path, counts) => ({
      name: `fleetctl plan, ${name}`,
      // It exits with 6 if there are changes.
      command: () => ['sh', '-c', '"$@" || [ $? = 6 ]', 'sh', ...fleet.command('plan', path)],
      isRight: (stdout) => stdout.includes(counts),
    });
    const plans = [
      plan('unchanged', folder, `is as wanted (${UNITS} unchanged)`),
      plan('all changed', `${dirname(folder)}/changed/planned`, `(${UNITS} changed, 0 unchanged)`),
      plan('all new', dirname(fresh[0]), `(${UNITS} new, 0 unchanged)`),
    ];
    const obstacle = await installProgram('ansible-playbook', 'ansible-core', say);
    const others = obstacle === undefined ? [await ansible({ cluster, baselines, fleet, folder })] : [];
    const results = await compare([...plans, ...others], rounds);
    return {
      title: `Planning a folder of ${UNITS} units, 3 machines`,
      results,
      checks: [
        ...plans.map(({ name }) => limit(results, name, 2000)),
        ...others.map(({ name }) => ratio(results, plans[0].name, name, 0.2)),
      ],
      notes: [obstacle ?? 'Of ansible-playbook, one round.'],
    };
  } finally {
    await run(fleet.command('destroy', 'planned-*.service'), { outlivesInterruption: true });
  }
}

/** The same files to the machines that have them. */
async function ansible({ cluster, baselines, fleet, folder }) {
  const { stdout } = await run(fleet.command('list-units', '-o', 'json'));
  const machineOf = new Map(JSON.parse(stdout).units.map(({ unit, machine }) => [unit, machine?.name]));
  const files = cluster.machines.map(({ name }) =>
    [...machineOf].flatMap(([unit, machine]) =>
      machine === name && unit.startsWith('planned-') ? `${folder}/${unit}` : [],
    ),
  );
  const isRight = (stdout) =>
    stdout.match(/ changed=0 +unreachable=0 +failed=0 /g)?.length === cluster.machines.length;
  return {
    name: 'ansible-playbook --check',
    command: () => baselines.ansible(dirname(folder), files, '/etc/systemd/system/'),
    isRight,
    most: FEW,
  };
}
