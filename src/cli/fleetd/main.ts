import { Command as Commander, CommanderError, Option } from 'commander';
import { EXIT } from '../exit-status.ts';
import { runProcess, tellError } from '../run-process.ts';
import { processStreams, type Streams } from '../streams.ts';
import { VERSION } from '../version.ts';
import type { Flags } from './flags.ts';

/** Runs the fleetd of this process, which ends with its exit status. */
export function runFleetd(): Promise<void> {
  return runProcess(main, processStreams);
}

/** Runs one fleetd and returns its exit status; everything it says goes to `streams`. */
export async function main(argv: readonly string[], streams: Streams): Promise<number> {
  const program = createProgram(streams);
  try {
    program.parse([...argv], { from: 'user' });
    const flags = program.opts<Flags>();
    if (flags.check === true) return await (await import('./check.ts')).check(flags, streams);
    return await (await import('./serve.ts')).serve(flags, streams);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    return tellError(error, streams);
  }
}

function createProgram(streams: Streams): Commander {
  return new Commander('fleetd')
    .description(
      'Keeps every unit of a cluster where the registry wants it: units of a machine that stays silent for agent_ttl move to others, and what differs from what is wanted is put right. It runs anywhere from where the machines can be reached over SSH.',
    )
    .version(`fleetd version ${VERSION}`, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .option('--config <file>', 'fleet.conf to use, instead of the first that is found')
    .option(
      '--check',
      'read the configuration and the registry, test write access, ask every machine once, and exit',
    )
    .addOption(
      new Option('--log <format>', 'how to log, to standard error').choices(['text', 'json']).default('text'),
    )
    .addHelpText(
      'after',
      [
        '',
        'Signals: SIGTERM and SIGINT end it when the step in hand is finished, and stop',
        'nothing on machines; SIGHUP reads the configuration again.',
        '',
        'Examples:',
        '  $ fleetd --check                         is everything there that it needs?',
        '  $ fleetd --config /etc/fleet/fleet.conf  keep this cluster',
        '  $ fleetd --log json                      one object a line',
      ].join('\n'),
    )
    .configureOutput({ writeOut: streams.out, writeErr: streams.err })
    .exitOverride();
}
