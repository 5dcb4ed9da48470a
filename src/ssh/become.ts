import { type ErrorCode, FleetError } from '../base/errors.ts';
import { quoted } from '../base/visible.ts';
import type { SshTarget } from './target.ts';

/** The tool that gives a user root's rights on a machine. */
export type Become = 'sudo' | 'doas' | 'none';

/** Access to a root shell on one machine. */
export type Access = {
  readonly ssh: SshTarget;
  readonly become: Become;
  /** The password for sudo; undefined if none was given. */
  readonly password?: BecomePassword | undefined;
};

/** Why there is no root shell. */
type BecomeCode = Extract<ErrorCode, `become-${string}`>;

/**
 * The messages of sudo(8), sudo-rs and doas(1) for each reason, in the C locale. Their exit status is 1 for every
 * reason.
 */
const BECOME_MESSAGES: readonly (readonly [RegExp, BecomeCode])[] = [
  [/must have a tty/, 'become-tty'],
  [/incorrect password|Sorry, try again|Authentication failed/, 'become-refused'],
  [/password is required|no password was provided|Authentication required/i, 'become-password'],
  [/interactive authentication is required/i, 'become-password'],
  [/not in the sudoers|not allowed to|may not run sudo|I'm afraid I can't do that/, 'become-denied'],
  [/^doas: .*(?:not permitted|not enabled)/im, 'become-denied'],
  [/(?:sudo|doas)\W.*(?:No such file|not found)/, 'become-missing'],
];

/**
 * The shell of machine `ssh.name` ended too early: before it ran anything, unless it `hasAnswered`. `said` is its
 * output, `how` its exit.
 */
export function shellEnded(
  access: Access,
  said: string,
  how: number | string,
  hasAnswered = false,
): FleetError {
  const { ssh, become } = access;
  const what = said === '' ? `its shell ended early: ${how}` : quoted(said);
  const code =
    becomes(access) && !hasAnswered
      ? BECOME_MESSAGES.find(([pattern]) => pattern.test(said))?.[1]
      : undefined;
  const hint = code === undefined ? endHint(access, hasAnswered) : HINTS[code](ssh.user, become);
  return cannotUse(access, code ?? 'remote-script', what, hint);
}

/** The password was refused by machine `by`, which may be this one. */
export function passwordRefused(access: Access, by: string): FleetError {
  const what =
    by === access.ssh.name
      ? 'sudo did not take the password'
      : `the password for sudo was not sent there, because machine "${by}" refused it`;
  return cannotUse(access, 'become-refused', what, HINTS['become-refused'](access.ssh.user, 'sudo'));
}

/** Whether a tool has to give root's rights; root needs none. */
export function becomes({ ssh, become }: Access): boolean {
  return become !== 'none' && ssh.user !== 'root';
}

/** Why a shell may end early although no tool refused the rights. */
function endHint(access: Access, hasAnswered: boolean): string {
  if (hasAnswered) return becomes(access) ? SUDO_ENDED : SHELL_ENDED;
  return access.ssh.user === 'root' ? ROOT_ENDED : ROOT_HINT;
}

const SHELL_ENDED = 'It ended during a request: the machine may be shutting down, or the shell was killed';
const SUDO_ENDED = `${SHELL_ENDED}, for example by a command_timeout in sudoers`;
const ROOT_ENDED =
  'root logs in there, but gets no shell: look at ForceCommand in sshd_config, command= in authorized_keys, and the start-up files of its shell (.bashrc, .profile)';
const ROOT_HINT = 'The user needs root rights: log in as root, or allow it sudo without a password';

const HINTS: Readonly<Record<BecomeCode, (user: string, become: Become) => string>> = {
  'become-password': (user, become) =>
    become === 'doas'
      ? `doas takes a password from a terminal only: write "permit nopass ${user}" into /etc/doas.conf there`
      : `Give its password with --ask-become-pass, FLEETCTL_BECOME_PASSWORD or become_password_command, or allow it sudo without one: "${user} ALL=(ALL) NOPASSWD: ALL" in sudoers`,
  'become-refused': () =>
    'Give the right password. It was tried on one machine only, so that no account is locked; only machines that had accepted it before got it',
  'become-denied': (user, become) =>
    become === 'doas'
      ? `Write "permit nopass ${user}" into /etc/doas.conf there`
      : `Run visudo there and add "${user} ALL=(ALL) ALL", or log in as another user`,
  'become-tty': (user) => `Run visudo there and add "Defaults:${user} !requiretty"`,
  'become-missing': (_, become) =>
    `Install ${become} there, log in as root, or set "become" to sudo, doas or none in fleet.conf`,
};

function cannotUse({ ssh }: Access, code: ErrorCode, what: string, hint: string): FleetError {
  return new FleetError(code, `Cannot use machine "${ssh.name}": ${what}`, { hint });
}

/** The result for a password: `refused` names the machine that refused it. */
export type Verdict = { readonly kind: 'accepted' } | { readonly kind: 'refused'; readonly by: string };

/**
 * A password for many machines. So that a wrong one locks no accounts, it is sent to one machine first, and to the
 * others when that one has accepted it. After the first refusal only machines that accepted it before get it.
 */
export class BecomePassword {
  readonly #read: () => Promise<string>;
  readonly #accepted = new Set<string>();
  #text: Promise<string> | undefined;
  #trial: Promise<unknown> | undefined;
  #refusedBy: string | undefined;

  /** `read` is called once, when a machine first asks. */
  constructor(read: () => Promise<string>) {
    this.#read = read;
  }

  /**
   * Calls `attempt` to send the password to a machine, or refuses to. An attempt resolves with whether the password
   * was accepted, and rejects when that cannot be known.
   */
  async offer(machine: string, attempt: (password: string) => Promise<boolean>): Promise<Verdict> {
    while (this.#isUntried && this.#trial !== undefined) await this.#trial;
    if (this.#refusedBy !== undefined && !this.#accepted.has(machine))
      return { kind: 'refused', by: this.#refusedBy };
    const outcome = this.#try(machine, attempt);
    if (this.#isUntried) {
      const over = (): void => {
        this.#trial = undefined;
      };
      this.#trial = outcome.then(over, over);
    }
    return outcome;
  }

  get #isUntried(): boolean {
    return this.#accepted.size === 0 && this.#refusedBy === undefined;
  }

  async #try(machine: string, attempt: (password: string) => Promise<boolean>): Promise<Verdict> {
    this.#text ??= this.#read();
    if (await attempt(await this.#text)) {
      this.#accepted.add(machine);
      return { kind: 'accepted' };
    }
    this.#accepted.delete(machine);
    this.#refusedBy ??= machine;
    return { kind: 'refused', by: machine };
  }
}
