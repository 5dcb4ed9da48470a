import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';

/** The process as commands see it: where they write, what they were given, whether a person is there. */
export type Streams = {
  /** Data. */
  out(text: string): void;
  /** Talk, warnings, errors. */
  err(text: string): void;
  /** Asks the person at the terminal; undefined when there is none. */
  readonly ask: ((question: string) => Promise<string>) | undefined;
  /** The same, for a secret: what is typed is not shown. */
  readonly askSecret?: ((question: string) => Promise<string>) | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly home: string;
};

/** The streams of this process. A reader that goes away (`| head -1`) ends it quietly. */
export function processStreams(home: string): Streams {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit();
      throw error;
    });
  }
  const isPerson = process.stdin.isTTY === true && process.stderr.isTTY === true;
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    ask: isPerson ? (question) => askOnTerminal(question, process.stderr, 'no') : undefined,
    askSecret: isPerson ? askSecretly : undefined,
    env: process.env,
    cwd: process.cwd(),
    home,
  };
}

/** Ctrl-D is no answer and counts as `none`; Ctrl-C, which a terminal that is asking keeps to itself, ends the process. */
async function askOnTerminal(question: string, output: NodeJS.WritableStream, none: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output, terminal: true, historySize: 0 });
  terminal.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  const closed = new Promise<string>((resolve) => terminal.once('close', () => resolve(none)));
  try {
    return await Promise.race([terminal.question(question).catch(() => none), closed]);
  } finally {
    terminal.close();
  }
}

/** The terminal echoes nothing while readline reads its keys, and what readline would show goes nowhere. */
async function askSecretly(question: string): Promise<string> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const answer = askOnTerminal('', nowhere, '');
  // Not before: keys that are pressed at the sight of it would be shown.
  process.stderr.write(question);
  try {
    return await answer;
  } finally {
    process.stderr.write('\n');
  }
}
