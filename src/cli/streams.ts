import { fstatSync, writeSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { isAbsolute } from 'node:path';
import type { Writable } from 'node:stream';
import { causeText, FleetError } from '../base/errors.ts';
import { visible } from '../base/visible.ts';
import { EXIT } from './exit-status.ts';
import { drawScreen, LiveArea, render, type Text, textOfLines } from './terminal.ts';

/** The environment of a command: output, questions to the user, variables and folders. */
export type Streams = {
  /**
   * Data as text: control characters are made visible. If it cannot be written, `otherwise` goes to standard error.
   */
  out(text: Text, otherwise?: Text): void;
  /** Messages, warnings and errors; control characters are made visible. */
  err(text: Text): void;
  /** Data whose bytes must not change. Control characters are made visible only on a terminal. */
  exact(text: string): void;
  /** Asks the user; undefined without a terminal. */
  readonly ask: ((question: string) => Promise<string>) | undefined;
  /** Asks for a secret: the answer is not shown. */
  readonly askSecret?: ((question: string) => Promise<string>) | undefined;
  /** Temporary lines on the terminal of standard error; undefined if there is none that can show them. */
  readonly live?: LiveArea | undefined;
  /** Progress and success messages are suppressed. */
  readonly quiet?: boolean;
  /** Sets the last words of the process for a signal that ends it; by default they only say that it was interrupted. */
  readonly ifInterrupted?: (words: (() => readonly string[]) | undefined) => void;
  /** The terminal of standard output; undefined if there is none that can be drawn on. */
  readonly screen?: Screen | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly home: string;
};

export type Screen = {
  size(): { readonly columns: number; readonly rows: number };
  /** Replaces the content of the screen by these lines. */
  draw(lines: readonly string[]): void;
};

/** Writes lines to one of the streams; a newline in a line is made visible. */
export function writeLines(write: (text: Text) => void, lines: readonly Text[]): void {
  if (lines.length > 0) write(textOfLines(lines));
}

/** Whether text on standard output has colours. */
export function hasColours({ screen, env }: Pick<Streams, 'screen' | 'env'>): boolean {
  return screen !== undefined && !env.NO_COLOR;
}

/** Whether the user answers a question with yes; not without a terminal. */
export async function confirms({ ask }: Pick<Streams, 'ask'>, question: string): Promise<boolean> {
  return /^y(es)?$/i.test(((await ask?.(question)) ?? '').trim());
}

/** Writes to standard error of this process. */
export function standardError(text: Text): void {
  errorStream().write(render(text));
}

/** Node's stream of standard error. A command must not stop halfway because nothing reads its messages. */
export function errorStream(): NodeJS.WriteStream {
  const { stderr } = process;
  return stderr.listenerCount('error') === 0 ? stderr.on('error', () => undefined) : stderr;
}

/**
 * Node's stream of standard output, which ends the process after an error: silently if its reader has ended (`| head -1`). It takes
 * milliseconds to load, so {@link Streams} use it for terminals, and for a pipe that does not block and is full.
 */
export function outputStream(): NodeJS.WriteStream {
  const { stdout } = process;
  if (stdout.listenerCount('error') > 0) return stdout;
  writeWhole(stdout);
  return stdout.on('error', endUnwritten);
}

function endUnwritten(error: NodeJS.ErrnoException): void {
  if (isUnread(error)) process.exit();
  standardError(`Error: ${cannotWrite(error).message}\n`);
  process.exit(EXIT.failed);
}

function isUnread(error: NodeJS.ErrnoException): boolean {
  return error.code === 'EPIPE';
}

/** The streams of a command, which a signal ends. A daemon handles signals itself. */
export function commandStreams(): Streams {
  const streams = processStreams();
  return { ...streams, ifInterrupted: endOnSignals(streams.live) };
}

/**
 * The streams of this process. It ends silently if the reader of its output ends, and with an error if the disk is full.
 * Throws FleetError `usage` for a process without a working folder or a home.
 */
export function processStreams(): Streams {
  const stdout = isDevice(1) ? outputStream() : undefined;
  const stderr = isDevice(2) ? errorStream() : undefined;
  const write = outputWriter(stdout);
  const live = stderr?.isTTY === true && process.env.TERM !== 'dumb' ? new LiveArea(stderr) : undefined;
  const hold = <T>(work: () => Promise<T>): Promise<T> => (live === undefined ? work() : live.hold(work));
  // Node needs a millisecond to open a standard input that is not a terminal.
  const isPerson = stderr?.isTTY === true && process.stdin.isTTY === true;
  return {
    out: (text, otherwise = '') => {
      live?.clear();
      write(render(text), otherwise);
    },
    err: (text) => {
      live?.clear();
      standardError(text);
    },
    exact: (text) => {
      live?.clear();
      write(stdout?.isTTY === true ? visible(text) : text);
    },
    ask: isPerson ? (question) => hold(() => askOnTerminal(question, process.stderr, 'no')) : undefined,
    askSecret: isPerson ? (question) => hold(() => askSecretly(question)) : undefined,
    live,
    screen:
      stdout?.isTTY === true && process.env.TERM !== 'dumb'
        ? {
            size: () => ({ columns: stdout.columns, rows: stdout.rows }),
            draw: (lines) => void stdout.write(drawScreen(lines)),
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
      hint: 'It may have been removed: change to another one with cd',
      cause,
    });
  }
}

function homeFolder(): string {
  try {
    // An empty variable counts as unset, and a relative one is invalid.
    const given = homedir();
    return isAbsolute(given) ? given : userInfo().homedir;
  } catch (cause) {
    throw new FleetError('usage', `Cannot find your home folder: user ${process.getuid?.()} has none`, {
      hint: 'Set HOME, to any folder that is yours',
      cause,
    });
  }
}

/** Resources of Node that are system calls in threads. */
const IN_THREADS = /^(FSReq|GetAddrInfo|GetNameInfo)/;

/** Ends the process when it receives a signal, with the words that were set last and the status of the signal. */
function endOnSignals(live: LiveArea | undefined): NonNullable<Streams['ifInterrupted']> {
  let words: (() => readonly string[]) | undefined;
  const ends = { SIGHUP: EXIT.hungUp, SIGINT: EXIT.interrupted, SIGTERM: EXIT.terminated };
  for (const [signal, status] of Object.entries(ends)) {
    process.on(signal, () => {
      // The next signal ends the process at once.
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

/** Ctrl-D counts as the answer `none`. Ctrl-C ends the process; readline does not make a signal of it. */
async function askOnTerminal(question: string, output: NodeJS.WritableStream, none: string): Promise<string> {
  // Loaded here, because few commands ask.
  const { createInterface } = process.getBuiltinModule('node:readline/promises');
  const terminal = createInterface({ input: process.stdin, output, terminal: true, historySize: 0 });
  terminal.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  const closed = new Promise<string>((resolve) => terminal.once('close', () => resolve(none)));
  try {
    return await Promise.race([terminal.question(visible(question)).catch(() => none), closed]);
  } finally {
    terminal.close();
  }
}

/** The terminal does not echo while readline reads its keys, and the echo of readline is discarded. */
async function askSecretly(question: string): Promise<string> {
  const { Writable } = process.getBuiltinModule('node:stream');
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const answer = askOnTerminal('', nowhere, '');
  // The question comes last, because keys that are pressed before would be echoed.
  standardError(question);
  try {
    return await answer;
  } finally {
    standardError('\n');
  }
}

/** The output of a command could not be written. */
export function cannotWrite(error: Error): FleetError {
  return new FleetError('output', `Cannot write the output: ${causeText(error)}`);
}

/** A terminal is a device. */
function isDevice(fd: number): boolean {
  return fstatSync(fd).isCharacterDevice();
}

/** Writes to `stream`, or to the file descriptor. If that fails, `otherwise` goes to standard error, and the process ends. */
function outputWriter(stream: NodeJS.WriteStream | undefined): (text: string, otherwise?: Text) => void {
  let open = stream;
  return (text, otherwise = '') => {
    const failed = (error: NodeJS.ErrnoException): void => {
      if (!isUnread(error)) standardError(otherwise);
    };
    let rest: Uint8Array = Buffer.from(text);
    try {
      while (open === undefined && rest.length > 0) rest = rest.subarray(writeSync(1, rest));
    } catch (reason) {
      const error = reason as NodeJS.ErrnoException;
      if (error.code === 'EAGAIN') open = outputStream();
      else {
        // As with a stream: what the caller prints at once comes first.
        process.nextTick(() => {
          failed(error);
          process.nextTick(endUnwritten, error);
        });
        return;
      }
    }
    open?.write(rest, (error) => error && failed(error));
  };
}

/**
 * If the stream is a file, Node writes once and ignores a partial write, as on a full disk. After this call, all data is
 * written or the stream fails.
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
