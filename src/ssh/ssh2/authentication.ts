import type { FleetError } from '../../base/errors.ts';
import { cannotReach, otherTransport } from '../failure.ts';
import { type Algorithm, algorithmsFor, type Credential } from '../keys/credential.ts';
import type { Credentials } from '../keys/keys.ts';
import type { AuthenticationMethod, SshTarget } from '../target.ts';
import type { Ask } from '../transport.ts';
import type { AuthReply, UserAuth } from './user-auth.ts';

/** Who logs in where: with these keys, and with the answers of a user who can be asked. */
type LoginOptions = {
  readonly target: SshTarget;
  readonly credentials: Credentials;
  readonly ask: Ask | undefined;
};

/** Logs in: with one key after another, then with the user's answers if allowed; records its attempts. */
export class Authentication {
  readonly #target: SshTarget;
  readonly #credentials: Credentials;
  readonly #ask: Ask | undefined;
  readonly #auth: UserAuth;
  readonly #deadline: Deadline;
  readonly #problems: string[] = [];
  readonly #tried: string[] = [];
  #asked = 0;
  #next = 0;
  /** The methods that the machine accepts; its first refusal names them. */
  #methods: readonly string[] | undefined;
  #isPartial: boolean = false;

  constructor({ target, credentials, ask }: LoginOptions, auth: UserAuth, deadline: Deadline) {
    this.#target = target;
    this.#credentials = credentials;
    this.#ask = target.batchMode ? undefined : ask;
    this.#auth = auth;
    this.#deadline = deadline;
  }

  /** Resolves when the user is logged in; rejects with an `ssh-authentication` error. The user's time to answer is not counted. */
  async run(): Promise<void> {
    for (;;) {
      const method = this.#choose();
      if (method === undefined) throw this.failure(undefined);
      const answer = await this.#try(method);
      if (answer?.kind === 'success') return;
      if (answer?.kind !== 'failure') continue;
      this.#methods = answer.methods;
      this.#isPartial ||= answer.isPartial;
    }
  }

  /** The last attempt: the successful one after a login. */
  get credential(): string | undefined {
    return this.#tried.at(-1);
  }

  /** Why the login was refused. `serverSays` is the reason with which the machine ended the connection itself. */
  failure(serverSays: string | undefined): FleetError {
    const fail = (what: string, hint?: string): FleetError =>
      cannotReach(this.#target, 'ssh-authentication', what, { hint });
    const { user } = this.#target;
    const methods = this.#methods ?? ['publickey'];
    const others = methods.join(', ');
    if (this.#isPartial && this.#asked === 0)
      return fail(
        `after a key it also requires ${others}, which cannot be answered here`,
        methods.includes('keyboard-interactive') ? 'Log in from a terminal' : undefined,
      );
    if (!methods.includes('publickey') && this.#asked === 0)
      return fail(
        `it accepts no keys, only ${others}`,
        methods.some((method) => method.startsWith('gssapi'))
          ? otherTransport(this.#target)
          : 'fleet asks for a password only on a terminal, and only if PreferredAuthentications names it',
      );
    const reasons = [serverSays, ...this.#problems, ...this.#credentials.unusable].filter(Boolean);
    const more = reasons.length === 0 ? '' : ` (${reasons.join('; ')})`;
    return fail(
      `it did not let "${user}" in with ${this.#tried.join(', ')}${more}`,
      this.#next < this.#credentials.keys.length
        ? 'Set identity_file in [ssh] to the right key (--ssh-identity-file FILE)'
        : `Add one of these keys to authorized_keys of "${user}" there, or set user and identity_file in [ssh] (--ssh-username, --ssh-identity-file)`,
    );
  }

  /** The first preferred method that the machine accepts and that has attempts left. */
  #choose(): AuthenticationMethod | undefined {
    const { preferredAuthentications, passwordAuthentication, numberOfPasswordPrompts } = this.#target;
    const wanted = [
      ...preferredAuthentications,
      ...(this.#isPartial ? (['keyboard-interactive'] as const) : []),
    ];
    const mayAsk = this.#ask !== undefined && this.#asked < numberOfPasswordPrompts;
    return wanted.find((method) => {
      if (this.#methods?.includes(method) === false) return false;
      if (method === 'publickey') return this.#next < this.#credentials.keys.length;
      return mayAsk && (passwordAuthentication || (this.#isPartial && method === 'keyboard-interactive'));
    });
  }

  /** Undefined when it had no result, and the next method is to be tried. */
  async #try(method: AuthenticationMethod): Promise<AuthReply | undefined> {
    if (method === 'publickey') return this.#tryKey();
    this.#asked++;
    this.#note(method === 'password' ? 'a password' : 'answers to its questions');
    return method === 'password' ? this.#tryPassword() : this.#tryDialog();
  }

  async #tryKey(): Promise<AuthReply | undefined> {
    const auth = this.#auth;
    const credential = this.#credentials.keys[this.#next++];
    if (credential === undefined) return undefined;
    this.#note(credential.label);
    let answer: AuthReply | undefined;
    for (const algorithm of algorithmsFor(credential.blob, auth.acceptedAlgorithms)) {
      answer = await this.#login(credential, algorithm);
      // RSA keys have a second algorithm: some machines name the accepted ones only after the first attempt.
      const isNews = auth.acceptedAlgorithms?.includes(algorithm.signature) === false;
      if (answer?.kind !== 'failure' || answer.isPartial || !isNews) return answer;
    }
    if (answer === undefined) this.#problem(credential, 'the machine takes no signature of RSA with SHA-2');
    return answer;
  }

  async #login(credential: Credential, { offered, signature }: Algorithm): Promise<AuthReply | undefined> {
    const { blob, asksFirst } = credential;
    if (asksFirst) {
      const answer = await this.#auth.offerKey(offered, blob);
      if (answer.kind !== 'key-accepted') return answer;
    }
    try {
      // A passphrase, a touch or a confirmation may be needed.
      return await this.#auth.useKey(offered, blob, (data) =>
        this.#deadline.pauseWhile(credential.sign(data, signature)),
      );
    } catch (error) {
      this.#problem(credential, (error as Error).message);
      return undefined;
    }
  }

  async #tryPassword(): Promise<AuthReply | undefined> {
    const password = await this.#question('password: ', true);
    if (password === undefined) return this.#giveUp();
    const answer = await this.#auth.usePassword(password);
    if (answer.kind !== 'password-expired') return answer;
    this.#problems.push('the password has expired');
    return this.#giveUp();
  }

  async #tryDialog(): Promise<AuthReply | undefined> {
    let answer = await this.#auth.startDialog();
    while (answer.kind === 'prompts') {
      const { name, instructions, prompts } = answer;
      const answers: string[] = [];
      for (const [i, { prompt, echo }] of prompts.entries()) {
        const before = i === 0 ? [name, instructions].filter((text) => text !== '') : [];
        const given = await this.#question([...before, prompt].join('\n'), !echo);
        if (given === undefined) return this.#giveUp();
        answers.push(given);
      }
      answer = await this.#auth.answerPrompts(answers);
    }
    return answer;
  }

  /** The prompt names user and machine, as in OpenSSH, on every line: the text comes from the machine, and could name another one. */
  async #question(text: string, isSecret: boolean): Promise<string | undefined> {
    const { user, name } = this.#target;
    const lines = text.split(/\r?\n/).map((line) => `(${user}@${name}) ${line}`);
    const shown = lines.join('\n');
    return this.#deadline.pauseWhile(this.#ask?.({ text: shown, isSecret }) ?? Promise.resolve(undefined));
  }

  /** There is no answer, so the question is not repeated. */
  #giveUp(): undefined {
    this.#asked = Number.POSITIVE_INFINITY;
    return undefined;
  }

  #note(label: string): void {
    if (!this.#tried.includes(label)) this.#tried.push(label);
  }

  #problem({ label }: Credential, message: string): void {
    this.#problems.push(`${label.replace(/ \([^()]*\)$/, '')}: ${message}`);
  }
}

/** A time limit that is paused while the user is asked. */
export type Deadline = {
  /** Pauses the limit until the work has settled. */
  readonly pauseWhile: <T>(work: Promise<T>) => Promise<T>;
  readonly cancel: () => void;
};

/** Calls `late` once `ms` have passed, pauses not counted. */
export function createDeadline(ms: number, late: () => void): Deadline {
  let left = ms;
  let pauses = 0;
  let since = performance.now();
  let timer: NodeJS.Timeout | undefined = setTimeout(late, left);
  const stop = (): void => {
    clearTimeout(timer);
    timer = undefined;
  };
  let isOver = false;
  return {
    pauseWhile: async (work) => {
      if (pauses++ === 0 && !isOver) {
        stop();
        left -= performance.now() - since;
      }
      try {
        return await work;
      } finally {
        if (--pauses === 0 && !isOver) {
          since = performance.now();
          timer = setTimeout(late, Math.max(0, left));
        }
      }
    },
    cancel: () => {
      isOver = true;
      stop();
    },
  };
}
