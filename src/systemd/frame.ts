import { type Deferred, deferred } from '../base/async.ts';
import { Bytes } from '../base/bytes.ts';
import { FleetError } from '../base/errors.ts';
import { beyond, LIMITS, type Limit } from '../machine/limits.ts';

/** One section of an answer. `stderr` is the output on standard error for it. */
export type Section = {
  readonly name: string;
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
};

/** The first section of that name. */
export function findSection(sections: readonly Section[], name: string): Section | undefined {
  return sections.find((section) => section.name === name);
}

/** The name of the section that ends an answer. */
const LAST_SECTION = 'end';

/** A section whose standard output is incomplete, or complete. */
type Frame = { readonly name: string; readonly status: number; readonly bytes: number };
type Body = Pick<Section, 'name' | 'status' | 'stdout'>;

/** More than the marker, the name of a section and two numbers, in bytes. */
const LONGEST_HEADER = 300;
/** How much output outside of sections is kept, in bytes. */
const MOST_NOISE = 500;
const NEWLINE = 0x0a;
/** The lines of a section up to this size are not counted. */
const FEW_BYTES = 1024 * 1024;
const NOTHING = Buffer.alloc(0);

/**
 * Splits the two streams of a script into sections. On standard output a section is a line `MARKER name status bytes` and
 * exactly that many bytes; on standard error it ends with a line that is only the marker. The marker is random for
 * every session, so that no output of a unit or a login shell can be a frame; bytes between sections are dropped.
 *
 * Every byte is read a bounded number of times. Input beyond {@link LIMITS} fails the reader with FleetError `bad-answer`; a
 * failed reader keeps no further input.
 */
export class FrameReader {
  readonly #marker: string;
  readonly #header: RegExp;
  readonly #errorEnd: string;
  readonly #onFailure: () => void;
  /** Output before the next header, which may contain its beginning. */
  #between: Buffer = NOTHING;
  #noise: Buffer = NOTHING;
  #frame: Frame | undefined;
  readonly #body = new Bytes();
  readonly #error = new Bytes();
  /** Halves of sections that wait for the other half, and complete sections. */
  #bodies: Body[] = [];
  #errors: string[] = [];
  #paired = 0;
  #sections: Section[] = [];
  readonly #answers: (readonly Section[])[] = [];
  /** Since the last answer was complete, in bytes and in halves of sections. */
  #bytes = 0;
  #count = 0;
  #most: Limit = 'answer';
  #hasAnswered: boolean = false;
  #waiting: Deferred<readonly Section[]> | undefined;
  #failure: Error | undefined;

  /** `onFailure` is called when the reader fails. */
  constructor(marker: string, onFailure: () => void = () => undefined) {
    this.#marker = marker;
    this.#header = new RegExp(`^${marker} ([a-z][a-z-]{0,30}(?::\\d{1,6})?) (\\d{1,3}) (\\d+)\\n`);
    this.#errorEnd = `\n${marker}\n`;
    this.#onFailure = onFailure;
  }

  stdout(chunk: Buffer): void {
    this.#spend(chunk.length);
    let rest = chunk;
    while (rest.length > 0 && this.#failure === undefined)
      rest = this.#frame === undefined ? this.#seekFrame(rest) : this.#takeBody(this.#frame, rest);
  }

  stderr(chunk: Buffer): void {
    this.#spend(chunk.length);
    if (this.#failure !== undefined) return;
    const before = this.#error.length;
    let start = 0;
    if (before > 0) {
      this.#error.append(chunk);
      const at = this.#error.view.indexOf(this.#errorEnd, Math.max(0, before - this.#errorEnd.length + 1));
      if (at >= 0) {
        start = at + this.#errorEnd.length - before;
        this.#finishErrors(this.#error.view.subarray(0, at));
        this.#error.clear();
      } else start = chunk.length;
    }
    let at = chunk.indexOf(this.#errorEnd, start);
    while (at >= 0 && this.#failure === undefined) {
      this.#finishErrors(chunk.subarray(start, at));
      start = at + this.#errorEnd.length;
      at = chunk.indexOf(this.#errorEnd, start);
    }
    if (start < chunk.length && this.#failure === undefined) this.#error.append(chunk.subarray(start));
    if (this.#error.length > LIMITS.errors.most) this.fail(beyond('errors'));
  }

  /** Ends the reader: the script has ended, the machine is unreachable, or its output is invalid. */
  fail(error: Error): void {
    if (this.#failure === undefined) {
      this.#failure = error;
      this.#body.clear();
      this.#error.clear();
      this.#bodies = [];
      this.#errors = [];
      this.#sections = [];
      this.#onFailure();
    }
    this.#waiting?.reject(this.#failure);
    this.#waiting = undefined;
  }

  /** Whether there was a section, which proves that the shell has its rights. */
  get hasAnswered(): boolean {
    return this.#hasAnswered;
  }

  /** Output outside of sections: messages of a shell, of sudo, or of nologin (on stdout). */
  get remainder(): string {
    const said = this.#error.view.toString('utf8', 0, MOST_SAID).trim();
    if (said !== '') return said;
    const text = Buffer.concat([this.#noise, this.#between]).toString('utf8', 0, MOST_NOISE);
    const [before = ''] = text.split(this.#marker, 1);
    return before.trim();
  }

  /** All sections up to the next `end`, without it. Rejects if the script ends before it, or sends more than `most`. */
  readAnswer(most: Limit = 'answer'): Promise<readonly Section[]> {
    if (this.#waiting !== undefined) throw new FleetError('remote-script', 'An answer is being read already');
    const answer = this.#answers.shift();
    if (answer !== undefined) return Promise.resolve(answer);
    const waiting = deferred<readonly Section[]>();
    this.#waiting = waiting;
    this.#most = most;
    if (this.#failure !== undefined) this.fail(this.#failure);
    return waiting.promise;
  }

  #spend(bytes: number): void {
    this.#bytes += bytes;
    const limit = this.#waiting === undefined ? 'unasked' : this.#most;
    if (this.#bytes > LIMITS[limit].most) this.fail(beyond(limit));
  }

  /** Takes the next header. On a terminal with echo, the marker may also be in text before it. */
  #seekFrame(chunk: Buffer): Buffer {
    const text = this.#between.length === 0 ? chunk : Buffer.concat([this.#between, chunk]);
    let at = text.indexOf(this.#marker);
    while (at >= 0) {
      // Headers are short ASCII lines; latin1 keeps one character per byte.
      const line = text.toString('latin1', at, at + LONGEST_HEADER);
      const match = this.#header.exec(line);
      if (match !== null) {
        this.#skip(text.subarray(0, at));
        this.#between = NOTHING;
        return this.#begin(match, text.subarray(at + match[0].length));
      }
      if (line.length < LONGEST_HEADER && !line.includes('\n')) break;
      at = text.indexOf(this.#marker, at + 1);
    }
    const kept = at >= 0 ? at : Math.max(0, text.length - this.#marker.length + 1);
    this.#skip(text.subarray(0, kept));
    this.#between = Buffer.from(text.subarray(kept));
    return NOTHING;
  }

  #begin([, name = '', status, bytes]: RegExpExecArray, rest: Buffer): Buffer {
    const frame = { name, status: Number(status), bytes: Number(bytes) };
    if (this.#bytes - rest.length + frame.bytes > LIMITS[this.#most].most) {
      this.fail(beyond(this.#most));
      return NOTHING;
    }
    this.#frame = frame;
    return this.#takeBody(frame, rest);
  }

  #takeBody(frame: Frame, chunk: Buffer): Buffer {
    const missing = frame.bytes - this.#body.length;
    if (chunk.length < missing) {
      this.#body.append(chunk);
      return NOTHING;
    }
    const last = chunk.subarray(0, missing);
    if (this.#body.length > 0) this.#body.append(last);
    const whole = this.#body.length > 0 ? this.#body.view : last;
    this.#frame = undefined;
    this.#noise = NOTHING;
    if (whole.length > FEW_BYTES && countLines(whole) > LIMITS.lines.most) this.fail(beyond('lines'));
    else {
      this.#bodies.push({ name: frame.name, status: frame.status, stdout: whole.toString('utf8') });
      this.#pair();
    }
    this.#body.clear();
    return chunk.subarray(missing);
  }

  #finishErrors(bytes: Buffer): void {
    if (bytes.length > LIMITS.errors.most) this.fail(beyond('errors'));
    else {
      this.#errors.push(bytes.toString('utf8').trim());
      this.#pair();
    }
  }

  /** Makes sections of the halves that have arrived. */
  #pair(): void {
    this.#count++;
    // Each section has two halves, and the last section counts too.
    if (this.#count > 2 * LIMITS.sections.most) this.fail(beyond('sections'));
    const body = this.#bodies[this.#paired];
    const stderr = this.#errors[this.#paired];
    if (body === undefined || stderr === undefined) return;
    this.#paired++;
    if (this.#paired === this.#bodies.length && this.#paired === this.#errors.length) {
      this.#bodies = [];
      this.#errors = [];
      this.#paired = 0;
    }
    this.#hasAnswered = true;
    if (body.name === LAST_SECTION) this.#finishAnswer();
    else this.#sections.push({ ...body, stderr });
  }

  #finishAnswer(): void {
    const waiting = this.#waiting;
    const answer = this.#sections;
    this.#waiting = undefined;
    this.#sections = [];
    this.#bytes = 0;
    this.#count = 0;
    if (waiting === undefined) this.#answers.push(answer);
    else waiting.resolve(answer);
  }

  #skip(noise: Buffer): void {
    if (this.#noise.length >= MOST_NOISE || noise.length === 0) return;
    this.#noise = Buffer.concat([this.#noise, noise.subarray(0, MOST_NOISE - this.#noise.length)]);
  }
}

/** The limit of standard error in an error message, in bytes. */
const MOST_SAID = 4000;

function countLines(bytes: Buffer): number {
  let lines = 0;
  // A call for each line costs more than a comparison for each byte.
  for (let at = 0; at < bytes.length; at++) if (bytes[at] === NEWLINE) lines++;
  return lines;
}
