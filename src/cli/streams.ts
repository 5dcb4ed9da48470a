import { createInterface } from 'node:readline/promises';

/** The process as commands see it: where they write, what they were given, whether a person is there. */
export type Streams = {
  /** Data. */
  out(text: string): void;
  /** Talk, warnings, errors. */
  err(text: string): void;
  /** Asks the person at the terminal; undefined when there is none. */
  readonly ask: ((question: string) => Promise<string>) | undefined;
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
    ask: isPerson ? askOnTerminal : undefined,
    env: process.env,
    cwd: process.cwd(),
    home,
  };
}

/** Ctrl-D is no answer and counts as a no; Ctrl-C, which a terminal that is asking keeps to itself, ends the process. */
async function askOnTerminal(question: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  terminal.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  const closed = new Promise<string>((resolve) => terminal.once('close', () => resolve('no')));
  try {
    return await Promise.race([terminal.question(question).catch(() => 'no'), closed]);
  } finally {
    terminal.close();
  }
}
