import type { AnyAuthMethod } from 'ssh2';
import type { FleetError } from '../base/errors.ts';
import { cannotReach } from './failure.ts';
import type { Credentials } from './keys.ts';
import type { SshTarget } from './target.ts';

/** Logs in with one key after another, without SSH's `none` probe, and remembers what was tried. */
export class Authentication {
  readonly #target: SshTarget;
  readonly #credentials: Credentials;
  readonly #problems: string[] = [];
  #tried = 0;
  #methodsLeft: readonly string[] = [];
  #partial: boolean | null = null;
  #isOver: boolean = false;

  constructor(target: SshTarget, credentials: Credentials) {
    this.#target = target;
    this.#credentials = credentials;
  }

  /** ssh2's authHandler: the next key to try, or false at the end. Both parameters are null at the first call. */
  readonly next = (methodsLeft: readonly string[] | null, partial: boolean | null): AnyAuthMethod | false => {
    this.#methodsLeft = methodsLeft ?? ['publickey'];
    this.#partial = partial;
    const credential = this.#credentials.keys[this.#tried];
    this.#isOver = credential === undefined || !this.#methodsLeft.includes('publickey');
    if (credential === undefined || this.#isOver) return false;
    this.#tried++;
    return credential.login(this.#target.user);
  };

  /** True when {@link next} has no key left that the machine would take. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Notes that the key being tried could not sign; ssh2 goes on to the next one. */
  noteProblem(message: string): void {
    const { label } = this.#credentials.keys[this.#tried - 1] ?? { label: 'agent' };
    this.#problems.push(`${label}: ${message}`);
  }

  /** Why nobody was let in. `serverSays` is the reason with which the machine ended the connection itself. */
  failure(serverSays: string | undefined): FleetError {
    const fail = (what: string, hint?: string): FleetError =>
      cannotReach(this.#target, 'ssh-authentication', what, hint === undefined ? {} : { hint });
    const others = this.#methodsLeft.join(', ');
    if (this.#partial === true)
      return fail(`after a key it also asks for ${others}, which cannot be answered here`);
    if (!this.#methodsLeft.includes('publickey')) return fail(`it accepts no keys, only ${others}`);

    const tried = this.#credentials.keys.slice(0, this.#tried).map(({ label }) => label);
    const reasons = [serverSays, ...this.#problems, ...this.#credentials.unusable].filter(Boolean);
    const more = reasons.length === 0 ? '' : ` (${reasons.join('; ')})`;
    const { user } = this.#target;
    return fail(
      `it did not let "${user}" in with ${tried.join(', ')}${more}`,
      this.#tried < this.#credentials.keys.length
        ? 'Say which key is the right one with identity_file in [ssh]'
        : `Add one of these keys to authorized_keys of "${user}" there, or set user and identity_file in [ssh]`,
    );
  }
}
