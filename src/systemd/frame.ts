import { StringDecoder } from 'node:string_decoder';
import { FleetError } from '../base/errors.ts';

/** One framed part of a script's answer. `stderr` is what was written to standard error meanwhile. */
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

/** The name of the section that ends a phase of the script. */
const LAST_SECTION = 'end';

/** Where the text of a section is, in bytes of what has come and is in no section yet. */
type Frame = { readonly name: string; readonly status: number; readonly start: number; readonly end: number };

/** More than the marker, the name of a section and two numbers take, in bytes. */
const LONGEST_HEADER = 300;

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
  /** What came and is in no section yet; joined only when there is something to be found in it. */
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** The section that is on its way. */
  #frame: Frame | undefined;
  #hasAnswered: boolean = false;
  #stderr = '';
  /** Keeps the bytes of a character that came only in part. */
  readonly #stderrDecoder = new StringDecoder('utf8');
  #waiting: Waiting | undefined;
  #failure: Error | undefined;

  constructor(marker: string) {
    this.#marker = marker;
    this.#header = new RegExp(`^${marker} (\\S+) (\\d+) (\\d+)\\n`);
    this.#errorEnd = `\n${marker}\n`;
  }

  stdout(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
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

  /** Whether a section has come: there was a shell with the rights that it needs. */
  get hasAnswered(): boolean {
    return this.#hasAnswered;
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
    this.#frame ??= this.#findFrame();
    const errorEnd = this.#stderr.indexOf(this.#errorEnd);
    if (this.#frame === undefined || errorEnd < 0 || this.#bytes < this.#frame.end) return undefined;
    const { name, status, start, end } = this.#frame;
    const stdout = this.#stdout;
    const section: Section = {
      name,
      status,
      stdout: stdout.toString('utf8', start, end),
      stderr: this.#stderr.slice(0, errorEnd).trim(),
    };
    this.#frame = undefined;
    this.#hasAnswered = true;
    this.#chunks = [stdout.subarray(end)];
    this.#bytes -= end;
    this.#stderr = this.#stderr.slice(errorEnd + this.#errorEnd.length);
    return section;
  }

  /** The next header; words in front of it may hold the marker as well, where a terminal shows what it is given. */
  #findFrame(): Frame | undefined {
    const stdout = this.#stdout;
    let at = stdout.indexOf(this.#marker);
    while (at >= 0) {
      // Headers are short ASCII lines; latin1 keeps one character a byte.
      const match = this.#header.exec(stdout.toString('latin1', at, at + LONGEST_HEADER));
      const start = at + (match?.[0].length ?? 0);
      if (match !== null)
        return { name: match[1] ?? '', status: Number(match[2]), start, end: start + Number(match[3]) };
      at = stdout.indexOf(this.#marker, at + 1);
    }
    return undefined;
  }

  get #stdout(): Buffer {
    const [first = Buffer.alloc(0), ...others] = this.#chunks;
    if (others.length === 0) return first;
    const joined = Buffer.concat(this.#chunks);
    this.#chunks = [joined];
    return joined;
  }
}
