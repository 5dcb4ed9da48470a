import { Command as Commander, CommanderError, Option } from 'commander';
import { CONFIG_OPTION } from '../../config/settings.ts';
import { EXIT } from '../exit-status.ts';
import { reportError, runProcess } from '../run-process.ts';
import { processStreams, type Streams } from '../streams.ts';
import { VERSION } from '../version.ts';
import type { Flags } from './serve.ts';

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
    // Lines of progress would not have the format of its log.
    return await (await import('./serve.ts')).serve(flags, { ...streams, quiet: true });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    return reportError(error, streams);
  }
}

/** The command line of fleetd as commander knows it. */
export function createProgram(streams: Pick<Streams, 'out' | 'err'>): Commander {
  return new Commander('fleetd')
    .description(
      'Keeps the units of a cluster in the target states of the registry. Units of a machine that is unreachable for agent_ttl move to other machines, and other differences are corrected. fleetd runs on any host that reaches the machines over SSH.',
    )
    .version(`fleetd version ${VERSION}`, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .option(...CONFIG_OPTION)
    .option(
      '--check',
      'check the configuration, write access to the registry and every machine once, then exit',
    )
    .addOption(
      new Option('--log <format>', 'format of the log on standard error')
        .choices(['text', 'json'])
        .default('text'),
    )
    .addHelpText(
      'after',
      [
        '',
        'Signals: SIGTERM and SIGINT end fleetd after the current step and do not stop',
        'units on machines; SIGHUP reads the configuration again.',
        '',
        'Examples:',
        '  $ fleetd --check                         check all requirements',
        '  $ fleetd --config /etc/fleet/fleet.conf  control this cluster',
        '  $ fleetd --log json                      one object per line',
      ].join('\n'),
    )
    .configureOutput({ writeOut: streams.out, writeErr: streams.err })
    .exitOverride();
}
