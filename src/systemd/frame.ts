import { StringDecoder } from 'node:string_decoder';
import { FleetError } from '../base/errors.ts';

/** One framed part of a script's answer. `stderr` is what was written to standard error meanwhile. */
export type Section = {
  readonly name: string;
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
};

/** The name of the section that ends a phase of the script. */
const LAST_SECTION = 'end';

type Waiting = {
  readonly resolve: (sections: readonly Section[]) => void;
  readonly reject: (error: Error) => void;
};

/**
 * Takes the two streams of a script apart. On standard output a section is `MARKER name status bytes` on a
 * line of its own and exactly that many bytes; on standard error it ends with a line that holds the marker
 * alone. The marker is random for every run, so nothing that a unit or a login shell prints can pass for a
 * frame; bytes that stand between sections are not ours and are dropped.
 */
export class FrameReader {
  readonly #marker: string;
  readonly #header: RegExp;
  readonly #errorEnd: string;
  readonly #sections: Section[] = [];
  #stdout: Buffer = Buffer.alloc(0);
  #stderr = '';
  /** Keeps the bytes of a character that came only in part. */
  readonly #stderrDecoder = new StringDecoder('utf8');
  #waiting: Waiting | undefined;
  #failure: Error | undefined;

  constructor(marker: string) {
    this.#marker = marker;
    this.#header = new RegExp(`${marker} (\\S+) (\\d+) (\\d+)\\n`);
    this.#errorEnd = `\n${marker}\n`;
  }

  stdout(chunk: Buffer): void {
    this.#stdout = Buffer.concat([this.#stdout, chunk]);
    this.#advance();
  }

  stderr(chunk: Buffer): void {
    this.#stderr += this.#stderrDecoder.write(chunk);
    this.#advance();
  }

  /** The script has ended, or is out of reach: no more sections will come. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.#waiting?.reject(this.#failure);
    this.#waiting = undefined;
  }

  /** What came and belongs to no section yet: the words of a shell, of sudo, or of nologin (on stdout). */
  get remainder(): string {
    const said = this.#stderr.replaceAll(this.#errorEnd, '').trim();
    if (said !== '') return said;
    const [before = ''] = this.#stdout.toString('utf8', 0, 500).split(this.#marker, 1);
    return before.trim();
  }

  /** All sections up to the next `end`, which is left out. Rejects when the script ends before it. */
  readPhase(): Promise<readonly Section[]> {
    if (this.#waiting !== undefined) throw new FleetError('remote-script', 'A phase is being read already');
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#advance();
      if (this.#failure !== undefined) this.fail(this.#failure);
    });
  }

  #advance(): void {
    let section = this.#take();
    while (section !== undefined && section.name !== LAST_SECTION) {
      this.#sections.push(section);
      section = this.#take();
    }
    if (section !== undefined) this.#finishPhase();
  }

  #finishPhase(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve(this.#sections.splice(0));
  }

  /** The next section, once both of its streams are complete. */
  #take(): Section | undefined {
    if (this.#waiting === undefined) return undefined;
    // Headers are short ASCII lines; latin1 keeps one character a byte, so that offsets are byte offsets.
    const match = this.#header.exec(this.#stdout.toString('latin1'));
    const errorEnd = this.#stderr.indexOf(this.#errorEnd);
    if (match === null || errorEnd < 0) return undefined;
    const start = match.index + match[0].length;
    const end = start + Number(match[3]);
    if (this.#stdout.length < end) return undefined;
    const section: Section = {
      name: match[1] ?? '',
      status: Number(match[2]),
      stdout: this.#stdout.toString('utf8', start, end),
      stderr: this.#stderr.slice(0, errorEnd).trim(),
    };
    this.#stdout = this.#stdout.subarray(end);
    this.#stderr = this.#stderr.slice(errorEnd + this.#errorEnd.length);
    return section;
  }
}
