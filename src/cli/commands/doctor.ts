import type { Examiner } from '../../operations/doctor.ts';
import type { Ports } from '../../reconcile/ports.ts';
import { type Command, printJson } from '../command.ts';
import type { SshAccess } from '../context.ts';
import { EXIT } from '../exit-status.ts';
import { TABLE_OUTPUT } from '../options.ts';
import { writeLines } from '../streams.ts';

export const doctorCommand: Command = {
  name: 'doctor',
  arguments: '[machine...]',
  summary: 'Check whether machines meet the requirements of fleet',
  isReadOnly: true,
  description:
    'Checks all machines, or the named ones, in parallel and changes nothing: name, port, host key, login, shell, root rights, systemd, folders, tools (by running them), machine id, cluster, clock, free space, journal, container tools of the units, and properties of the units in systemd. Failed checks are shown with a fix; checks that depend on them are skipped. If the registry cannot be read, the machines of fleet.conf are checked. The exit status is 0 if all checks succeed and the registry can be read, else 1.',
  options: [{ flags: '-a, --all', description: 'show all checks, including successful ones' }, TABLE_OUTPUT],
  examples: [
    ['fleetctl doctor', 'all machines'],
    ['fleetctl doctor web-1 --all', 'all checks of one machine'],
    ['fleetctl doctor -o json', 'as JSON'],
  ],
  async run({ arguments: names, options, flags, streams }) {
    const { withPorts } = await import('../context.ts');
    const { clusterMachines } = await import('../../registry/inventory.ts');
    const operation = await import('../../operations/doctor.ts');
    const output = await import('../../output/doctor.ts');
    const json = options.output === 'json';
    const work = async (given: Ports, access: SshAccess): Promise<number> => {
      // What keeps machines from answering may also be what keeps the registry from being read.
      const { registry, error } = await operation.readable(given.registry);
      if (error !== undefined) writeLines(streams.err, output.withoutRegistryLines(error));
      const ports = { ...given, registry };
      const known = clusterMachines(await registry.load(), ports.machines);
      const view = { all: options.all === true, names: known.map(({ name }) => name) };
      let titles = json ? '' : await output.doctorTitles(view);
      const machines = await operation.doctor(examinerOf(ports, access), names, async (health) => {
        if (json) return;
        const lines = await output.doctorLines(health, view);
        streams.out(`${titles}${lines}`);
        titles = '';
      });
      if (json) await printJson(streams, output.doctorJson(machines));
      return error === undefined && machines.every(operation.isHealthy) ? EXIT.done : EXIT.failed;
    };
    return withPorts({ flags, streams }, work, { withoutRegistry: true });
  },
};

/** What a look at machines works with. */
export function examinerOf(ports: Ports, { transport, targetOf }: SshAccess): Examiner {
  return {
    ...ports,
    login: (machine) => transport.login(targetOf(machine)),
    userOf: (machine) => targetOf(machine).user,
  };
}
