import type { Examiner } from '../operations/doctor.ts';
import type { Ports } from '../reconcile/reconcile.ts';
import type { SshAccess } from './context.ts';

/** What a look at machines works with. */
export function examinerOf(ports: Ports, { transport, targetOf }: SshAccess): Examiner {
  return {
    ...ports,
    login: (machine) => transport.login(targetOf(machine)),
    userOf: (machine) => targetOf(machine).user,
  };
}
