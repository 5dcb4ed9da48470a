import { FleetError } from '../base/errors.ts';
import { quoted } from '../base/visible.ts';
import type { Lease } from '../cluster/snapshot.ts';
import { quote } from '../ssh/shell.ts';
import type { Query } from './driver.ts';
import { findSection, type Section } from './frame.ts';
import leaseShell from './lease.sh';
import ownShell from './own.sh';
import { complete, withoutComments } from './script.ts';

/** Extends the lease of the machine up to that deadline; false when it is past there, or the machine has rebooted. */
export function extendQuery(lease: Lease): Query<boolean, 'extension', Lease> {
  return {
    kind: 'extension',
    request: lease,
    script:
      withoutComments(ownShell + leaseShell) +
      complete('extension', [`step extend extend ${leaseWords(lease)}`]),
    isPublic: true,
    read: (sections, { name }) => readExtension(sections, name),
  };
}

/** Boot id and deadline, the latter in hundredths of a second, as machines count. */
export function leaseWords({ bootId, deadline }: Lease): string {
  return `${quote(bootId)} ${Math.floor(deadline * 100)}`;
}

/** Whether the machine took the lease; throws a FleetError `remote-script` when it could not. */
export function readExtension(sections: readonly Section[], machine: string): boolean {
  const section = findSection(sections, 'extend');
  if (section?.status === 0) return true;
  if (section?.status === 10 || section?.status === 11) return false;
  const said = section?.stderr ?? '';
  // systemd starts nothing that a job of the shutdown in hand would stop.
  if (/ is destructive/.test(said))
    throw new FleetError('machine-stopping', `Machine "${machine}" is shutting down`);
  throw new FleetError(
    'remote-script',
    `Cannot give machine "${machine}" a lease${said === '' ? '' : `: ${quoted(said)}`}`,
  );
}
