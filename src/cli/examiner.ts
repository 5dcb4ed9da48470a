import type { Examiner } from '../operations/doctor.ts';
import type { Edges } from '../reconcile/reconcile.ts';
import type { SshAccess } from './context.ts';

/** What a look at machines works with. */
export function examinerOf(edges: Edges, { transport, targetOf }: SshAccess): Examiner {
  return {
    ...edges,
    login: (machine) => transport.login(targetOf(machine)),
    userOf: (machine) => targetOf(machine).user,
  };
}
