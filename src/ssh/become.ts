import { type ErrorCode, FleetError } from '../base/errors.ts';
import { quoted } from '../base/visible.ts';
import type { SshTarget } from './target.ts';

/** How a user gets root's rights on a machine. */
export type Become = 'sudo' | 'doas' | 'none';

/** How to get a shell with the rights that fleet needs on one machine. */
export type Access = {
  readonly ssh: SshTarget;
  readonly become: Become;
  /** What sudo may ask for; undefined if none was given. */
  readonly password?: BecomePassword | undefined;
};

/** Why there is no root shell. */
type BecomeCode = Extract<ErrorCode, `become-${string}`>;

/**
 * What sudo(8), sudo-rs and doas(1) say, in the C locale that they are started in, about each reason. All of them
 * exit with 1 whatever it was.
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
 * The shell of machine `ssh.name` ended before it was done, or before it did anything unless it `hasAnswered`. `said` is
 * what came of it, `how` its exit.
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
      : `the password for sudo was not sent there, as machine "${by}" did not take it`;
  return cannotUse(access, 'become-refused', what, HINTS['become-refused'](access.ssh.user, 'sudo'));
}

/** Whether a tool is asked for root's rights; root needs none. */
export function becomes({ ssh, become }: Access): boolean {
  return become !== 'none' && ssh.user !== 'root';
}

/** Why a shell may end early where no tool refused its rights. */
function endHint(access: Access, hasAnswered: boolean): string {
  if (hasAnswered) return becomes(access) ? SUDO_ENDED : SHELL_ENDED;
  return access.ssh.user === 'root' ? ROOT_ENDED : ROOT_HINT;
}

const SHELL_ENDED = 'It was under way: the machine may be going down, or its shell was killed';
const SUDO_ENDED = `${SHELL_ENDED}, also by a command_timeout in sudoers`;
const ROOT_ENDED =
  'root logs in there, but gets no shell: look at ForceCommand in sshd_config, command= in authorized_keys, and the start-up files of its shell (.bashrc, .profile)';
const ROOT_HINT = 'The user needs root rights: log in as root, or allow it sudo without a password';

const HINTS: Readonly<Record<BecomeCode, (user: string, become: Become) => string>> = {
  'become-password': (user, become) =>
    become === 'doas'
      ? `doas takes a password from a terminal only: write "permit nopass ${user}" into /etc/doas.conf there`
      : `Give its password with --ask-become-pass, FLEETCTL_BECOME_PASSWORD or become_password_command, or allow it sudo without one: "${user} ALL=(ALL) NOPASSWD: ALL" in sudoers`,
  'become-refused': () =>
    'Give the right one. It was tried once, so that no account is locked; machines that had not taken it before were not sent it',
  'become-denied': (user, become) =>
    become === 'doas'
      ? `Write "permit nopass ${user}" into /etc/doas.conf there`
      : `Run visudo there and add "${user} ALL=(ALL) ALL", or log in as another user`,
  'become-tty': (user) => `Run visudo there and add "Defaults:${user} !requiretty"`,
  'become-missing': (_, become) =>
    `Install ${become} there, log in as root, or say in fleet.conf what the machine has: become = sudo, doas or none`,
};

function cannotUse({ ssh }: Access, code: ErrorCode, what: string, hint: string): FleetError {
  return new FleetError(code, `Cannot use machine "${ssh.name}": ${what}`, { hint });
}

/** What became of a password: `refused` names the machine that did not take it. */
export type Verdict = { readonly kind: 'accepted' } | { readonly kind: 'refused'; readonly by: string };

/**
 * A password that many machines may ask for. So that a wrong one locks no accounts, it goes to one machine first,
 * and to the others when that has taken it. After the first refusal only machines that took it before get it.
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
   * Lets `attempt` send the password to a machine, or says that it must not be sent. An attempt resolves with
   * whether it was taken, and rejects when that will never be known.
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
