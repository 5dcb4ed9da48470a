import { execFile } from 'node:child_process';
import { oneLine } from '../../base/visible.ts';

/** The messages that systemd expects from a unit of `Type=notify`; none without NOTIFY_SOCKET. */
export type Supervisor = {
  /** Everything is in place. */
  ready(): void;
  /** One line for `systemctl status`. */
  status(line: string): void;
  reloading(): void;
  stopping(): void;
  /** Notifies the watchdog while `isAwake` returns true; the returned function stops it. */
  watch(isAwake: () => boolean): () => void;
};

/**
 * Sends the notifications of sd_notify(3) with the program `systemd-notify`, because Node has no Unix datagram sockets.
 * The unit needs `NotifyAccess=all`.
 */
export function superviseBy(env: Readonly<Record<string, string | undefined>>): Supervisor {
  const isSupervised = env.NOTIFY_SOCKET !== undefined;
  const notify = (...words: readonly string[]): void => {
    // A failed notification is logged, and must not end the process.
    if (isSupervised) execFile('systemd-notify', [...words], () => undefined);
  };
  return {
    ready: () => notify('READY=1'),
    // A newline would start another assignment.
    status: (line) => notify(`STATUS=${oneLine(line)}`),
    reloading: () => notify('RELOADING=1'),
    stopping: () => notify('STOPPING=1'),
    watch(isAwake) {
      const intervalMs = Number(env.WATCHDOG_USEC ?? 0) / 1000 / 2;
      if (!isSupervised || !(intervalMs > 0)) return () => undefined;
      const timer = setInterval(() => isAwake() && notify('WATCHDOG=1'), intervalMs);
      return () => clearInterval(timer);
    },
  };
}
