import type { Command } from '../command.ts';
import { EXIT } from '../exit-status.ts';

export const doctorCommand: Command = {
  name: 'doctor',
  arguments: '[machine...]',
  summary: 'Check everything that fleet needs of machines',
  description:
    'Looks at all machines, or at those that are named, side by side, and changes nothing: name, port, host key, login, shell, root rights, systemd, folders, tools (which are run), machine id, cluster, clock, free space, journal, the container tools that units there use, and whether systemd can show its units. What fails is shown with the one thing that mends it; what needs it is skipped. The exit status is 0 when all is well, else 1.',
  options: [
    { flags: '-a, --all', description: 'show every check, also those that are well' },
    { flags: '-o, --output <format>', description: 'table or json', choices: ['table', 'json'] },
  ],
  examples: [
    ['fleetctl doctor', 'all machines'],
    ['fleetctl doctor web-1 --all', 'every check of one'],
    ['fleetctl doctor -o json', 'for a program'],
  ],
  async run({ arguments: names, options, flags, streams }) {
    const [{ withEdges }, { examinerOf }, operation, output, { jsonText }] = await Promise.all([
      import('../context.ts'),
      import('../examiner.ts'),
      import('../../operations/doctor.ts'),
      import('../../output/doctor.ts'),
      import('../../output/json.ts'),
    ]);
    const json = options.output === 'json';
    return withEdges(flags, streams, async (edges, access) => {
      const view = { all: options.all === true, names: edges.machines.map(({ name }) => name) };
      let titles = json ? '' : output.doctorTitles(view);
      const machines = await operation.doctor(
        examinerOf(edges, access),
        operation.finder(edges),
        names,
        (health) => {
          if (!json) streams.out(`${titles}${output.doctorLines(health, view)}`);
          titles = '';
        },
      );
      if (json) streams.out(jsonText(output.doctorJson(machines)));
      return machines.every(operation.isHealthy) ? EXIT.done : EXIT.failed;
    });
  },
};
