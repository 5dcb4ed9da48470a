import { closeSync, constants, fchownSync, openSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { attempt, hasCode } from './system-error.ts';

/** A process, described so that it cannot be confused with a later process of the same number. */
export type Owner = {
  readonly pid: number;
  /** When it started, in clock ticks since boot (proc_pid_stat(5), field 22). Empty without a usable /proc. */
  readonly started: string;
  /** The kernel's random id of this boot. Empty without a usable /proc. */
  readonly boot: string;
  /** The pid namespace of `pid`; each container has another one. Empty without a usable /proc. */
  readonly namespace: string;
  /** Its command line, for messages. */
  readonly command: string;
};

/** The process this code runs in. */
export function thisProcess(): Owner {
  self ??= describeThisProcess();
  return self;
}

/**
 * False only when the owner has certainly ended. In doubt it counts as running: taking a lock from a live process can
 * lose a commit, and waiting for a dead one cannot.
 *
 * - The number and the boot id of another namespace have no meaning here (LXC and systemd-nspawn give each container
 *   its own boot id), so such an owner may be running.
 * - One namespace never exists under two boots: another boot id means a reboot.
 * - Without /proc (macOS) a process that got the number later is taken for the owner.
 */
export function mayBeRunning(owner: Owner): boolean {
  const me = thisProcess();
  if (owner.namespace !== me.namespace) return true;
  if (differ(owner.boot, me.boot)) return false;
  if (!pidExists(owner.pid)) return false;
  const found = me.started === '' ? undefined : readStat(owner.pid);
  return found === undefined || !(found.ended || differ(owner.started, found.started));
}

/** Reads `JSON.stringify(owner)`; undefined for anything else. */
export function parseOwner(text: string): Owner | undefined {
  try {
    const { pid, started, boot, namespace, command } = JSON.parse(text);
    // Numbers below 1 mean process groups to kill(2).
    if (!Number.isSafeInteger(pid) || pid < 1) return undefined;
    return { pid, started: `${started}`, boot: `${boot}`, namespace: `${namespace}`, command: `${command}` };
  } catch {
    return undefined;
  }
}

let self: Owner | undefined;

function describeThisProcess(): Owner {
  // The /proc of another pid namespace (`unshare --pid` alone) has other process numbers and cannot be used.
  const usable = attempt(() => readlinkSync('/proc/self')) === `${process.pid}`;
  const [script = process.execPath, ...words] = process.argv.slice(1);
  return {
    pid: process.pid,
    started: (usable && readStat(process.pid)?.started) || '',
    boot: (usable && attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim())) || '',
    namespace: attempt(() => readlinkSync('/proc/self/ns/pid')) ?? '',
    command: [basename(script), ...words].join(' ').slice(0, 200),
  };
}

/**
 * `ended` is a zombie: killed, not yet waited for by its parent. While it has threads left, one of
 * them may still be in rename(2), and the process counts as running.
 */
function readStat(pid: number): { readonly started: string; readonly ended: boolean } | undefined {
  const text = attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  // The second field is the name in parentheses, and the name may hold anything.
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ') ?? [];
  const [state, threads, started] = [fields[0], fields[17], fields[19]];
  if (state === undefined || started === undefined) return undefined;
  return { started, ended: state === 'X' || (state === 'Z' && Number(threads) <= 1) };
}

/** True for two known values that are not the same. */
function differ(a: string, b: string): boolean {
  return a !== '' && b !== '' && a !== b;
}

function pidExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !hasCode(error, 'ESRCH');
  }
}

/**
 * Gives an open file the owner and group of `folder`, in which root has made it: after a command run by root, the
 * owner of the registry must still have access. By descriptor, because that user may replace the file.
 * Does nothing for other users, and where the file system does not permit it.
 */
export function inheritOwner(file: number, folder: string): void {
  if (process.geteuid?.() !== 0) return;
  attempt(() => {
    const { uid, gid } = statSync(folder);
    fchownSync(file, uid, gid);
  });
}

/** The same for a folder that was just made. */
export function inheritFolderOwner(folder: string): void {
  if (process.geteuid?.() !== 0) return;
  const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;
  const file = openSync(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    inheritOwner(file, dirname(folder));
  } finally {
    closeSync(file);
  }
}
