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
  /** Reports to the watchdog while `isAwake` says so; ends with the function that is returned. */
  watch(isAwake: () => boolean): () => void;
};

/**
 * Speaks to systemd as sd_notify(3) does, through `systemd-notify`, which is where systemd is: Node has no datagram
 * sockets of the kind. The unit needs `NotifyAccess=all`.
 */
export function superviseBy(env: Readonly<Record<string, string | undefined>>): Supervisor {
  const isAsked = env.NOTIFY_SOCKET !== undefined;
  const tell = (...words: readonly string[]): void => {
    // One that fails says so in the journal, and must not end what it speaks for.
    if (isAsked) execFile('systemd-notify', [...words], () => undefined);
  };
  return {
    ready: () => tell('READY=1'),
    // A newline would begin another assignment.
    status: (line) => tell(`STATUS=${oneLine(line)}`),
    reloading: () => tell('RELOADING=1'),
    stopping: () => tell('STOPPING=1'),
    watch(isAwake) {
      const intervalMs = Number(env.WATCHDOG_USEC ?? 0) / 1000 / 2;
      if (!isAsked || !(intervalMs > 0)) return () => undefined;
      const timer = setInterval(() => isAwake() && tell('WATCHDOG=1'), intervalMs);
      return () => clearInterval(timer);
    },
  };
}
