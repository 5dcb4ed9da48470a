import { deferred } from '../base/async.ts';
import { FleetError } from '../base/errors.ts';
import { formatDuration } from '../base/time.ts';
import type { Machine } from '../machine/machine.ts';

/** Like `work`, but rejects with `ssh-timeout` when it has not settled in `ms`; nobody waits for it then. */
export async function within<T>(ms: number, { name }: Machine, work: Promise<T>): Promise<T> {
  const late = deferred<never>();
  const message = `Machine "${name}" gave no answer in ${formatDuration(ms)}`;
  const timer = setTimeout(() => late.reject(new FleetError('ssh-timeout', message)), ms);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
    // Its failure has been told already, or nobody asks any more.
    work.catch(() => undefined);
  }
}
