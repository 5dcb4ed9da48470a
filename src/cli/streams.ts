import { fstatSync, writeSync } from 'node:fs';
import { homedir } from 'node:os';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { causeText, FleetError } from '../base/errors.ts';
import { visible } from '../base/visible.ts';
import { EXIT } from './exit-status.ts';
import { drawScreen, LiveArea, render, type Text, textOfLines } from './terminal.ts';

/** The process as commands see it: where they write, what they were given, whether a person is there. */
export type Streams = {
  /**
   * Data for people and programs that read text: what a terminal would obey or hide in it is made visible. Where it
   * cannot be written, standard error gets `otherwise`.
   */
  out(text: Text, otherwise?: Text): void;
  /** Talk, warnings, errors; made visible as well. */
  err(text: Text): void;
  /** Data whose bytes count. Only a terminal gets it made visible. */
  exact(text: string): void;
  /** Asks the person at the terminal; undefined when there is none. */
  readonly ask: ((question: string) => Promise<string>) | undefined;
  /** The same, for a secret: what is typed is not shown. */
  readonly askSecret?: ((question: string) => Promise<string>) | undefined;
  /** Lines that come and go on the terminal behind standard error; undefined when there is none that can. */
  readonly live?: LiveArea | undefined;
  /** Progress and success messages are suppressed. */
  readonly quiet?: boolean;
  /** Takes what a signal that ends the process is answered with, or undefined for no more than that it is. */
  readonly ifInterrupted?: (words: (() => readonly string[]) | undefined) => void;
  /** The terminal that data goes to; undefined when there is none that can be drawn on. */
  readonly screen?: Screen | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly home: string;
};

export type Screen = {
  size(): { readonly columns: number; readonly rows: number };
  /** Shows these lines in the place of what was there. */
  draw(lines: readonly string[]): void;
};

/** Writes lines to one of the streams; a newline in one of them begins no other. */
export function writeLines(write: (text: Text) => void, lines: readonly Text[]): void {
  if (lines.length > 0) write(textOfLines(lines));
}

/** Standard error of this process, for what is said before there are streams, or after them. */
export function standardError(text: Text): void {
  process.stderr.write(render(text));
}

function isUnread(error: NodeJS.ErrnoException): boolean {
  return error.code === 'EPIPE';
}

/** The streams of a process that a signal ends, with words. A daemon has signals of its own. */
export function commandStreams(): Streams {
  const streams = processStreams();
  return { ...streams, ifInterrupted: endOnSignals(streams.live) };
}

/**
 * The streams of this process. A reader of the data that goes away (`| head -1`) ends it quietly, a full disk with an
 * error. Throws FleetError `usage` for a process without a working folder or a home.
 */
export function processStreams(): Streams {
  writeWhole(process.stdout);
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (isUnread(error)) process.exit();
    standardError(`Error: ${cannotWrite(error).message}\n`);
    process.exit(EXIT.failed);
  });
  // The reader or the terminal is gone: no reason to leave something half done.
  process.stderr.on('error', () => undefined);
  const canMove = process.stderr.isTTY === true && process.env.TERM !== 'dumb';
  const live = canMove ? new LiveArea(process.stderr) : undefined;
  const hold = <T>(work: () => Promise<T>): Promise<T> => (live === undefined ? work() : live.hold(work));
  const isPerson = process.stdin.isTTY === true && process.stderr.isTTY === true;
  return {
    out: (text, otherwise = '') => {
      live?.clear();
      process.stdout.write(render(text), (error) => {
        if (error && !isUnread(error)) standardError(otherwise);
      });
    },
    err: (text) => {
      live?.clear();
      standardError(text);
    },
    exact: (text) => {
      live?.clear();
      process.stdout.write(process.stdout.isTTY === true ? visible(text) : text);
    },
    ask: isPerson ? (question) => hold(() => askOnTerminal(question, process.stderr, 'no')) : undefined,
    askSecret: isPerson ? (question) => hold(() => askSecretly(question)) : undefined,
    live,
    screen:
      process.stdout.isTTY === true && process.env.TERM !== 'dumb'
        ? {
            size: () => ({ columns: process.stdout.columns, rows: process.stdout.rows }),
            draw: (lines) => void process.stdout.write(drawScreen(lines)),
          }
        : undefined,
    env: process.env,
    cwd: workingFolder(),
    home: homeFolder(),
  };
}

function workingFolder(): string {
  try {
    return process.cwd();
  } catch (cause) {
    throw new FleetError('usage', `Cannot use the current folder: ${causeText(cause)}`, {
      hint: 'It may have been removed: go to another one, such as with cd',
      cause,
    });
  }
}

function homeFolder(): string {
  try {
    return homedir();
  } catch (cause) {
    throw new FleetError('usage', `Cannot tell your home folder: user ${process.getuid?.()} has none`, {
      hint: 'Set HOME, to any folder that is yours',
      cause,
    });
  }
}

/** Resources of Node whose work is a system call in a thread. */
const IN_THREADS = /^(FSReq|GetAddrInfo|GetNameInfo)/;

/** Ends the process when a signal says so, with the words that were registered last and a status of its own. */
function endOnSignals(live: LiveArea | undefined): NonNullable<Streams['ifInterrupted']> {
  let words: (() => readonly string[]) | undefined;
  const ends = { SIGHUP: EXIT.hungUp, SIGINT: EXIT.interrupted, SIGTERM: EXIT.terminated };
  for (const [signal, status] of Object.entries(ends)) {
    process.on(signal, () => {
      // From here on, the next signal ends the process at once, whatever it is busy with.
      for (const each of Object.keys(ends)) process.removeAllListeners(each);
      live?.clear();
      writeLines(standardError, words?.() ?? ['Interrupted.']);
      // An exit waits for system calls in threads, such as the look-up of a name; a signal does not.
      if (process.getActiveResourcesInfo().some((each) => IN_THREADS.test(each)))
        process.kill(process.pid, signal);
      process.exit(status);
    });
  }
  return (given) => {
    words = given;
  };
}

/** Ctrl-D is no answer and counts as `none`; Ctrl-C, which a terminal that is asking keeps to itself, ends the process. */
async function askOnTerminal(question: string, output: NodeJS.WritableStream, none: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output, terminal: true, historySize: 0 });
  terminal.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  const closed = new Promise<string>((resolve) => terminal.once('close', () => resolve(none)));
  try {
    return await Promise.race([terminal.question(visible(question)).catch(() => none), closed]);
  } finally {
    terminal.close();
  }
}

/** The terminal echoes nothing while readline reads its keys, and what readline would show goes nowhere. */
async function askSecretly(question: string): Promise<string> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const answer = askOnTerminal('', nowhere, '');
  // Not before: keys that are pressed at the sight of it would be shown.
  standardError(question);
  try {
    return await answer;
  } finally {
    standardError('\n');
  }
}

/** The data that was asked for could not be written. */
export function cannotWrite(error: Error): FleetError {
  return new FleetError('output', `Cannot write the output: ${causeText(error)}`);
}

/**
 * Where the stream leads to a file, Node writes once and takes no notice when only a part went in, as on a disk that is
 * full: from now on, all of it is written or the stream fails.
 */
function writeWhole(stream: Writable & { readonly fd: number }): void {
  if (!fstatSync(stream.fd).isFile()) return;
  stream._write = (chunk: Buffer, _encoding, done) => {
    try {
      for (let rest = chunk; rest.length > 0; ) rest = rest.subarray(writeSync(stream.fd, rest));
      done();
    } catch (error) {
      done(error as Error);
    }
  };
}
