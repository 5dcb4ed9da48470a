import { getSystemErrorMap } from 'node:util';

/**
 * The codes of all errors. An unreachable machine, an unschedulable unit and a failed step are not errors: they are
 * entries of a report.
 */
export type ErrorCode =
  | 'usage'
  | 'config'
  | 'unit-name'
  | 'unit-file'
  | 'placement'
  | 'unit-not-found'
  | 'not-loaded'
  | 'contradiction'
  | 'overruled'
  | 'machine-not-found'
  | 'machine-untrusted'
  | 'registry-corrupt'
  | 'registry-newer'
  | 'registry-unavailable'
  | 'registry-no-majority'
  | 'registry-locked'
  | 'registry-conflict'
  | 'registry-outdated'
  | 'not-recoverable'
  | 'not-copyable'
  | 'ssh-name'
  | 'ssh-refused'
  | 'ssh-timeout'
  | 'ssh-host-key'
  | 'ssh-authentication'
  | 'ssh-lost'
  | 'ssh-turned-away'
  | 'ssh-local'
  | 'remote-script'
  /** A machine sent data that exceeds the limits or cannot be read. */
  | 'bad-answer'
  | 'machine-stopping'
  | 'become-password'
  | 'become-refused'
  | 'become-denied'
  | 'become-tty'
  | 'become-missing'
  | 'cannot-listen'
  | 'endpoint'
  | 'install'
  | 'interrupted'
  | 'output'
  /** This computer lacks a resource, such as memory or a program; the state of the machine is unknown. */
  | 'local'
  /** An error that no code expected. */
  | 'defect';

/** The only error class. Callers decide by `code`; `message` and `hint` are for people. */
export class FleetError extends Error {
  readonly code: ErrorCode;
  /** What to do next, on a separate line. */
  readonly hint: string | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { hint?: string | undefined; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'FleetError';
    this.code = code;
    this.hint = options.hint;
  }
}

/** An error about fleet.conf, ssh_config, or an option or variable that sets a setting. */
export function configError(message: string, hint?: string, cause?: unknown): FleetError {
  return new FleetError('config', message, { hint, cause });
}

/** A path or a name for a message: in double quotes, on one line. */
export function inQuotes(text: string): string {
  return JSON.stringify(text);
}

/** A text of any length for a message: quoted, and cut after 80 UTF-16 units. */
export function excerpt(text: string): string {
  return inQuotes(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

/** True for a FleetError, of that code when one is given. */
export function isFleetError(error: unknown, code?: ErrorCode): error is FleetError {
  return error instanceof FleetError && (code === undefined || error.code === code);
}

/** For `catch`, where a failure does not matter. Throws an error that is not a FleetError. */
export function ignoreFleetError(error: unknown): undefined {
  if (!isFleetError(error)) throw error;
  return undefined;
}

/** The error itself, or a `defect` for an error that no code expected. For work that has to continue. */
export function asFleetError(error: unknown): FleetError {
  return isFleetError(error)
    ? error
    : new FleetError('defect', `Fleet has a defect: ${String(error)}`, { cause: error });
}

/** The text of strerror(3) for a failed system call; undefined for any other error. */
export function systemErrorText(error: unknown): string | undefined {
  const { errno } = error as NodeJS.ErrnoException;
  return typeof errno === 'number' ? getSystemErrorMap().get(errno)?.[1] : undefined;
}

/** The text of {@link systemErrorText}, or the message of the error. */
export function causeText(error: unknown): string {
  return systemErrorText(error) ?? (error instanceof Error ? error.message : String(error));
}

/** The remedy on this computer for a failed system call; undefined if it depends on the operation. */
export function remedyOf(error: unknown): string | undefined {
  const { code } = error as NodeJS.ErrnoException;
  return code === undefined ? undefined : REMEDIES[code];
}

/** Error code → remedy. */
const REMEDIES: Readonly<Record<string, string>> = {
  EMFILE: 'Raise the limit of open files: ulimit -n 1024',
  ENFILE: 'This computer has as many open files as its kernel allows: sysctl fs.file-nr',
  ENOMEM: 'This computer has too little memory left: free -h; ulimit -v',
  EAGAIN: 'Raise the limit of processes: ulimit -u',
  ENOSPC: 'Make room there: df -h; inodes: df -i',
  EDQUOT: 'Make room there: quota',
  EROFS: 'Its file system is read-only: findmnt',
  EACCES: 'Check its permissions, and those of the folders above it',
  EPERM: 'Check its permissions, and those of the folders above it',
};
