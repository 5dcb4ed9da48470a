import { StringDecoder } from 'node:string_decoder';
import { deferred, withTimeout } from '../base/async.ts';
import { FleetError, isFleetError } from '../base/errors.ts';
import { quoted } from '../base/visible.ts';
import { badAnswer, beyond, LIMITS } from '../machine/limits.ts';
import { type Access, becomes, shellEnded } from '../ssh/become.ts';
import type { RemoteProcess } from '../ssh/transport.ts';
import { type JournalStream, type MachineClock, parseClock } from './journal.ts';

/** The limits for the clock of the machine, and for the end of journalctl, in ms. */
const CLOCK_DEADLINE_MS = 30_000;
const END_DEADLINE_MS = 2000;
/** How much of standard error is kept, in characters. */
const MOST_SAID = 4000;
/** More than the marker and a clock, in characters. */
const LONGEST_START = 300;

/**
 * The answer to a `readJournalScript`, after it has begun; `most` is its limit, in bytes. Rejects with a FleetError if the shell
 * ends before that, or takes too long.
 */
export async function openJournal(
  access: Access,
  process: RemoteProcess,
  { marker, most }: { readonly marker: string; readonly most: number },
): Promise<JournalStream> {
  const journal = new RunningJournal(access, process, marker, most);
  await journal.begun();
  return journal;
}

class RunningJournal implements JournalStream {
  readonly ended: Promise<void>;
  readonly #access: Access;
  readonly #process: RemoteProcess;
  readonly #marker: string;
  readonly #begun = deferred<void>();
  #text = '';
  #said = '';
  #found: MachineClock | undefined;
  #isClosed: boolean = false;
  #refusal: FleetError | undefined;
  #listener: ((text: string) => void) | undefined;

  constructor(access: Access, process: RemoteProcess, marker: string, most: number) {
    this.#access = access;
    this.#process = process;
    this.#marker = marker;
    const errors = new StringDecoder('utf8');
    let errorBytes = 0;
    process.onStderr((chunk) => {
      errorBytes += chunk.length;
      if (errorBytes > LIMITS.errors.most) return this.#refuse(beyond('errors'));
      this.#said = `${this.#said}${errors.write(chunk)}`.slice(-MOST_SAID);
    });
    const output = new StringDecoder('utf8');
    let bytes = 0;
    process.onStdout((chunk) => {
      bytes += chunk.length;
      if (this.#found === undefined && bytes > LIMITS.answer.most) this.#refuse(beyond('answer'));
      else if (bytes > most) this.#refuse(new Error(`its journal has more than ${most} bytes`));
      else this.#guard(() => this.#receive(output.write(chunk)));
    });
    this.ended = this.#outcome();
    // After `close`, a failure is not reported.
    this.ended.catch(() => undefined);
  }

  get clock(): MachineClock {
    if (this.#found === undefined) throw new TypeError('the journal has not begun');
    return this.#found;
  }

  async begun(): Promise<void> {
    const clock = Promise.race([this.#begun.promise, this.ended.then(() => this.#begun.promise)]);
    try {
      await withTimeout(CLOCK_DEADLINE_MS, clock, () => {
        throw this.#tooSlow();
      });
    } catch (error) {
      this.#process.close();
      throw error;
    }
  }

  onText(listener: (text: string) => void): void {
    this.#listener = listener;
    this.#guard(() => this.#pass());
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#process.end();
    const ignore = (): void => undefined;
    await withTimeout(END_DEADLINE_MS, this.ended.catch(ignore), ignore);
    this.#process.close();
  }

  #receive(text: string): void {
    this.#text += text;
    if (this.#found === undefined) {
      // The output of the login shell comes first, and may be long.
      const start = `\n${this.#marker} `;
      const at = this.#text.indexOf(start);
      this.#text = at < 0 ? this.#text.slice(-start.length) : this.#text.slice(at);
      const end = at < 0 ? -1 : this.#text.slice(0, LONGEST_START).indexOf('\n', 1);
      if (end < 0) return;
      this.#found = parseClock(this.#text.slice(1, end));
      this.#text = this.#text.slice(end + 1);
      this.#begun.resolve();
    }
    this.#pass();
  }

  #pass(): void {
    if (this.#listener === undefined || this.#found === undefined || this.#text === '') return;
    const text = this.#text;
    this.#text = '';
    this.#listener(text);
  }

  /** An error of a reader is a failure of the machine. */
  #guard(read: () => void): void {
    try {
      read();
    } catch (error) {
      this.#refuse(error);
    }
  }

  /** Reads no further output. */
  #refuse(error: unknown): void {
    this.#refusal ??= badAnswer(this.#access.ssh.name, error);
    this.#process.close();
  }

  async #outcome(): Promise<void> {
    try {
      const exit = await this.#process.exit;
      if (this.#refusal !== undefined) throw this.#refusal;
      if (this.#isClosed || ('status' in exit && exit.status === 0 && this.#found !== undefined)) return;
      throw this.#failed('status' in exit ? `exit status ${exit.status}` : exit.signal);
    } catch (error) {
      if (this.#refusal !== undefined) throw this.#refusal;
      if (!this.#isClosed || !isFleetError(error)) throw error;
    }
  }

  #failed(how: string): FleetError {
    // Messages of the login shell come before the marker.
    const [after = ''] = this.#said.split(`\n${this.#marker}\n`).slice(-1);
    const said = after.trim().split('\n').at(-1) ?? '';
    if (this.#found === undefined && becomes(this.#access)) return shellEnded(this.#access, said, how);
    const why = said === '' ? `journalctl ended early: ${how}` : quoted(said);
    return new FleetError(
      'remote-script',
      `Cannot read the journal on machine "${this.#access.ssh.name}": ${why}`,
    );
  }

  #tooSlow(): FleetError {
    return new FleetError(
      'ssh-timeout',
      `Machine "${this.#access.ssh.name}" is connected but gave no answer in ${CLOCK_DEADLINE_MS / 1000}s`,
      { hint: 'Its systemd or a disk may hang: log in and look at "systemctl list-jobs"' },
    );
  }
}
