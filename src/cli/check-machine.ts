import type { Config } from '../config/config.ts';
import { doctor, type Examiner, finder, isHealthy } from '../operations/doctor.ts';
import { doctorLines, doctorTitles } from '../output/doctor.ts';
import type { Ports } from '../reconcile/ports.ts';
import { type SshAccess, withConfig } from './context.ts';
import type { Streams } from './streams.ts';

/**
 * Checks one machine as it is after `store`, a change of the registry that is not stored, and reports its problems. Returns
 * true if there are none.
 */
export function checkMachine(
  config: Config,
  name: string,
  streams: Streams,
  store: (ports: Ports) => Promise<void>,
): Promise<boolean> {
  const check = async (ports: Ports, access: SshAccess): Promise<boolean> => {
    await store(ports);
    const view = { all: false, names: [name] };
    const [health] = await doctor(examinerOf(ports, access), finder(ports), [name], async () => undefined);
    if (health === undefined || isHealthy(health)) return true;
    streams.err(`${await doctorTitles(view)}${await doctorLines(health, view)}`);
    return false;
  };
  return withConfig(config, streams, check, { dryRun: true, guard: false, onDifference: () => undefined });
}

/** What a look at machines works with. */
export function examinerOf(ports: Ports, { transport, targetOf }: SshAccess): Examiner {
  return {
    ...ports,
    login: (machine) => transport.login(targetOf(machine)),
    userOf: (machine) => targetOf(machine).user,
  };
}
