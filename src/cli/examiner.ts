import { FleetError } from '../base/errors.ts';
import type { Machine } from '../machine/machine.ts';
import type { Examiner } from '../operations/doctor.ts';
import type { Edges } from '../reconcile/reconcile.ts';
import type { SshTarget } from '../ssh/target.ts';
import type { SshAccess } from './context.ts';

/** What a look at machines works with. */
export function examinerOf(edges: Edges, { transport, targets }: SshAccess): Examiner {
  const target = ({ name }: Machine): SshTarget => {
    const found = targets.get(name);
    if (found === undefined) throw new FleetError('machine-not-found', `No such machine: "${name}"`);
    return found;
  };
  return {
    ...edges,
    login: (machine) => transport.login(target(machine)),
    userOf: (machine) => target(machine).user,
  };
}
