import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { runProcess } from '../../src/cli/run-process.ts';
import { commandStreams } from '../../src/cli/streams.ts';

/** A program that fails in the way that its first word says. */
await runProcess(async ([way]) => {
  switch (way) {
    case 'throw':
      throw new TypeError('x is not a function');
    case 'callback':
      setTimeout(() => {
        throw new TypeError('in a callback');
      });
      return new Promise(() => setTimeout(() => undefined, 60_000));
    case 'system':
      return (await readFile('/nowhere/file')).length;
    case 'hang': {
      execFileSync('mkfifo', ['pipe']);
      const hangs = readFile('pipe');
      process.stdout.write('hangs\n');
      await hangs;
      return 0;
    }
    default:
      process.stdout.write('data\n');
      return 0;
  }
}, commandStreams);
