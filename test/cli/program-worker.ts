import { runProcess } from '../../src/cli/run-process.ts';
import { commandStreams } from '../../src/cli/streams.ts';

/** Stands in for the program that bin/fleetctl starts. */
export function runFleetctl(): Promise<void> {
  return runProcess(async (words, { out }) => {
    out('data\n');
    if (words.length > 0) out(`${JSON.stringify(words)}\n`);
    return 0;
  }, commandStreams);
}
