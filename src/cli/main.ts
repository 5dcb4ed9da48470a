import { EXIT } from './exit-status.ts';
import { reportError, runProcess } from './run-process.ts';
import { commandStreams, type Streams } from './streams.ts';
import { VERSION_LINE } from './version.ts';

/** Runs the command line of this process, which ends with its exit status. */
export function runFleetctl(): Promise<void> {
  return runProcess(main, commandStreams);
}

/** Runs one command line and returns its exit status; everything it prints goes to `streams`. */
export async function main(argv: readonly string[], streams: Streams): Promise<number> {
  // Scripts and prompts often ask for the version, so it is printed without loading the parser.
  if (argv.length === 1 && argv[0] === '--version') {
    streams.out(`${VERSION_LINE}\n`);
    return EXIT.done;
  }
  try {
    // Completion scripts ask with every key press: the words that follow are not a complete command line.
    if (argv[0] === '__complete') {
      const { answerCompletion } = await import('./completion/complete.ts');
      await answerCompletion(argv.slice(1), streams);
      return EXIT.done;
    }
    // The other end of a registry that is reached over SSH.
    if (argv[0] === '__registry') {
      const { serveRegistry } = await import('./remote-store.ts');
      await serveRegistry(argv.slice(1), streams.exact);
      return EXIT.done;
    }
    // With an option, `help` is a command like any other.
    if (argv[0] === 'help' && !argv.some((word) => word.startsWith('-'))) {
      const { help } = await import('./show-help.ts');
      return await help(argv.slice(1), streams, async (path) => {
        const { helpOfCommand } = await import('./program.ts');
        return helpOfCommand(path, streams);
      });
    }
    const { runProgram } = await import('./program.ts');
    return await runProgram(argv, streams);
  } catch (error) {
    return reportError(error, streams);
  }
}
