import type { Config } from '../config/config.ts';
import { doctor, type Examiner, finder, isHealthy } from '../operations/doctor.ts';
import { doctorLines, doctorTitles } from '../output/doctor.ts';
import type { Ports } from '../reconcile/ports.ts';
import { type SshAccess, withConfig } from './context.ts';
import type { Streams } from './streams.ts';

/** Checks one machine of a configuration and reports its problems. Returns true if there are none. */
export function checkMachine(config: Config, name: string, streams: Streams): Promise<boolean> {
  return withConfig(config, streams, async (ports, access) => {
    const view = { all: false, names: [name] };
    const [health] = await doctor(examinerOf(ports, access), finder(ports), [name], async () => undefined);
    if (health === undefined || isHealthy(health)) return true;
    streams.err(`${await doctorTitles(view)}${await doctorLines(health, view)}`);
    return false;
  });
}

/** What a look at machines works with. */
export function examinerOf(ports: Ports, { transport, targetOf }: SshAccess): Examiner {
  return {
    ...ports,
    login: (machine) => transport.login(targetOf(machine)),
    userOf: (machine) => targetOf(machine).user,
  };
}
