import { randomBytes } from 'node:crypto';
import { deferred } from '../base/async.ts';
import { FleetError, isFleetError } from '../base/errors.ts';
import { formatDuration } from '../base/time.ts';
import { quoted } from '../base/visible.ts';
import { badAnswer, type Limit } from '../machine/limits.ts';
import { type Access, shellEnded } from '../ssh/become.ts';
import { lost } from '../ssh/failure.ts';
import { openRootShell } from '../ssh/root-shell.ts';
import type { RemoteProcess, Transport } from '../ssh/transport.ts';
import { FrameReader, type Section } from './frame.ts';
import { type MachinePaths, openingScript } from './script.ts';

/** The default limit of an answer, in ms; systemctl itself gives up after 25 s. */
const ANSWER_DEADLINE_MS = 30_000;

/** A script and the limits of its answer. */
export type Script = {
  readonly script: string;
  /** Whether other users of the machine may see it. It needs only the functions for reading then. */
  readonly isPublic?: boolean;
  /** The limit of the answer, in ms; {@link ANSWER_DEADLINE_MS} by default. */
  readonly deadlineMs?: number;
  /** The size of the answer; `answer` by default. */
  readonly most?: Limit;
};

/** How long a shell may take to end after its input is closed, in ms; then its channel is closed. */
const END_DEADLINE_MS = 10_000;

/** Runs scripts in one root shell, one after the other, and returns their answers. The first script opens the shell. */
export class ScriptRunner {
  readonly #transport: Transport;
  readonly #access: Access;
  readonly #paths: MachinePaths;
  readonly #marker = randomBytes(16).toString('hex');
  /** A failed reader closes the channel, in case the machine still sends. */
  readonly #reader = new FrameReader(this.#marker, () => this.#cutOff());
  readonly #over = deferred<void>();
  #opening: Promise<RemoteProcess> | undefined;
  /** The answer to the last script. */
  #last: Promise<unknown> | undefined;
  #knowsAllWords: boolean = false;
  #isClosed: boolean = false;
  #isAtWork: boolean = false;

  constructor(transport: Transport, access: Access, paths: MachinePaths) {
    this.#transport = transport;
    this.#access = access;
    this.#paths = paths;
  }

  /** Resolves when the shell, if it was opened, has ended. */
  get ended(): Promise<void> {
    return this.#over.promise;
  }

  /**
   * Rejects with a FleetError if there is no shell, it ends before its answer, or the answer takes too long or is too large. No
   * other script can follow then. A script waits for the answer to the one before it, because an early observation is not
   * awaited if it lacks units of the command.
   */
  run(script: Script): Promise<readonly Section[]> {
    const answer = this.#last?.then(() => this.#runNow(script)) ?? this.#runNow(script);
    answer.catch(() => undefined);
    this.#last = answer;
    return answer;
  }

  async #runNow({
    script,
    isPublic = false,
    deadlineMs = ANSWER_DEADLINE_MS,
    most,
  }: Script): Promise<readonly Section[]> {
    const answer = this.#reader.readAnswer(most);
    answer.catch(() => undefined);
    let timer: NodeJS.Timeout | undefined;
    this.#isAtWork = true;
    try {
      if (this.#opening !== undefined) this.#write(await this.#opening, script);
      else if (isPublic) await this.#open(this.#words('read') + script);
      else this.#write(await this.#open(''), script);
      timer = setTimeout(() => this.#reader.fail(this.#tooSlow(deadlineMs)), deadlineMs);
      return await answer;
    } catch (error) {
      if (error instanceof Error) this.#reader.fail(error);
      throw isFleetError(error, 'bad-answer') ? badAnswer(this.#access.ssh.name, error) : error;
    } finally {
      this.#isAtWork = false;
      clearTimeout(timer);
    }
  }

  /** Ends the shell; a running script is aborted. */
  close(): void {
    this.#isClosed = true;
    if (this.#isAtWork) this.#reader.fail(lost(this.#access.ssh, 'the session was closed here'));
    this.#opening?.then(
      (process) => {
        process.end();
        const late = setTimeout(() => this.#cutOff(), END_DEADLINE_MS).unref();
        void this.#over.promise.then(() => clearTimeout(late));
      },
      () => undefined,
    );
  }

  #cutOff(): void {
    this.#opening?.then(
      (process) => process.close(),
      () => undefined,
    );
  }

  #open(first: string): Promise<RemoteProcess> {
    if (this.#isClosed) throw lost(this.#access.ssh, 'the session was closed here');
    this.#opening = openRootShell(this.#transport, this.#access, first).then((process) => {
      process.onStdout((chunk) => this.#reader.stdout(chunk));
      process.onStderr((chunk) => this.#reader.stderr(chunk));
      process.exit
        .then(
          (exit) => this.#reader.fail(this.#ended('status' in exit ? exit.status : exit.signal)),
          (error: unknown) => this.#reader.fail(error instanceof Error ? error : new Error(String(error))),
        )
        .then(this.#over.resolve);
      return process;
    });
    return this.#opening;
  }

  #write(process: RemoteProcess, script: string): void {
    process.write(`\n${this.#knowsAllWords ? '' : this.#words('change')}${script}`);
    this.#knowsAllWords = true;
  }

  #words(purpose: 'read' | 'change'): string {
    return openingScript(this.#marker, this.#paths, purpose);
  }

  #tooSlow(deadlineMs: number): FleetError {
    const [said] = this.#reader.remainder.split('\n');
    const words = said ? `; it said: ${quoted(said)}` : '';
    const hang = 'Its systemd or a disk may hang: log in and look at "systemctl list-jobs"';
    return new FleetError(
      'ssh-timeout',
      `Machine "${this.#access.ssh.name}" is connected but gave no answer in ${formatDuration(deadlineMs)}${words}`,
      {
        hint: said
          ? `${hang}. Or a ForceCommand or the login shell there runs something else than a shell`
          : hang,
      },
    );
  }

  /** The shell ended before its answer: sudo refused, there is no shell, or the machine is shutting down. */
  #ended(how: number | string): FleetError {
    return shellEnded(this.#access, this.#reader.remainder, how, this.#reader.hasAnswered);
  }
}
