import { Command as Commander, CommanderError, Option } from 'commander';
import { FleetError } from '../base/errors.ts';
import type { ConfigFlags } from '../config/config.ts';
import type { Command } from './command.ts';
import { catCommand } from './commands/cat.ts';
import { completionCommand } from './commands/completion.ts';
import { controllerCommand } from './commands/controller.ts';
import { cordonCommand, uncordonCommand } from './commands/cordon.ts';
import { destroyCommand } from './commands/destroy.ts';
import { doctorCommand } from './commands/doctor.ts';
import { drainCommand } from './commands/drain.ts';
import { eventsCommand } from './commands/events.ts';
import { explainCommand } from './commands/explain.ts';
import { historyCommand } from './commands/history.ts';
import { journalCommand } from './commands/journal.ts';
import { listMachinesCommand } from './commands/list-machines.ts';
import { listUnitFilesCommand } from './commands/list-unit-files.ts';
import { listUnitsCommand } from './commands/list-units.ts';
import { loadCommand } from './commands/load.ts';
import { machinesCommand } from './commands/machines.ts';
import { reconcileCommand } from './commands/reconcile.ts';
import { recoverCommand } from './commands/recover.ts';
import { registryCommand } from './commands/registry.ts';
import { restartCommand } from './commands/restart.ts';
import { rollbackCommand } from './commands/rollback.ts';
import { sshCommand } from './commands/ssh.ts';
import { startCommand } from './commands/start.ts';
import { statusCommand } from './commands/status.ts';
import { stopCommand } from './commands/stop.ts';
import { submitCommand } from './commands/submit.ts';
import { unloadCommand } from './commands/unload.ts';
import { verifyCommand } from './commands/verify.ts';
import { versionCommand } from './commands/version.ts';
import { EXIT } from './exit-status.ts';
import type { Streams } from './streams.ts';
import { verbsFor } from './suggestion.ts';
import { VERSION_LINE } from './version.ts';

/** Every verb, in the order help shows them. */
export const COMMANDS: readonly Command[] = [
  submitCommand,
  loadCommand,
  startCommand,
  stopCommand,
  restartCommand,
  unloadCommand,
  destroyCommand,
  catCommand,
  historyCommand,
  rollbackCommand,
  explainCommand,
  verifyCommand,
  statusCommand,
  journalCommand,
  listUnitsCommand,
  listUnitFilesCommand,
  listMachinesCommand,
  machinesCommand,
  doctorCommand,
  sshCommand,
  cordonCommand,
  uncordonCommand,
  drainCommand,
  eventsCommand,
  reconcileCommand,
  recoverCommand,
  registryCommand,
  controllerCommand,
  completionCommand,
  versionCommand,
];

/** Options of every verb; each has a twin in the environment, FLEETCTL_ and its name. */
export const GLOBAL_OPTIONS: readonly (readonly [string, string])[] = [
  ['-q, --quiet', 'tell neither progress nor what went well; data, warnings and errors as always'],
  ['--config <file>', 'fleet.conf to use, instead of the first that is found'],
  [
    '--endpoint <where>',
    'ask the fleetd there for lists: unix:///PATH, http(s)://HOST:PORT, or none to ask the machines',
  ],
  ['--tunnel <host>', 'ask the fleetd on that box, over SSH: HOST, USER@HOST:PORT or an alias of ssh_config'],
  ['--ssh-username <user>', 'log in to every machine as this user'],
  ['--ssh-identity-file <file>', 'private key for every machine'],
  ['-K, --ask-become-pass', 'ask once for the password that sudo wants on the machines'],
  ['--identity-passphrase-file <file>', 'passphrase of private keys that are encrypted, on its first line'],
  ['--ssh-timeout <duration>', 'how long a connection may take: 500ms, 5s, 1m'],
  ['--ssh-config <file>', "file to read instead of ssh's own configuration, or none"],
  ['--known-hosts-file <file>', 'host keys of machines, in the format of OpenSSH'],
  [
    '--strict-host-key-checking <mode>',
    'ask about new host keys, or accept-new; changed ones are always refused',
  ],
  ['-v, --verbose', 'tell which lines of ssh_config are not followed'],
];

/** Parses the command line and runs its verb. */
export async function runProgram(argv: readonly string[], streams: Streams): Promise<number> {
  let status: number = EXIT.done;
  const program = createProgram(streams, (result) => {
    status = result;
  });
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return status;
  } catch (error) {
    // commander has printed its message; help and version end this way too, with 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    throw error;
  }
}

/** The command line as commander knows it; `done` gets the status of the verb that ran. */
function createProgram(streams: Streams, done: (status: number) => void): Commander {
  const program = new Commander('fleetctl')
    .description('Treat a set of machines as one init system: systemd units over SSH, no agents.')
    .version(VERSION_LINE, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .showSuggestionAfterError()
    .showHelpAfterError('hint: fleetctl --help')
    .configureOutput({
      writeOut: streams.out,
      writeErr: streams.err,
      outputError: (text, write) => write(tidy(text)),
    })
    // Global options are known before a verb and, as options of every verb, after it: see addCommand.
    .enablePositionalOptions()
    .exitOverride();
  for (const [flags, description] of GLOBAL_OPTIONS) program.option(flags, description);
  program.addHelpText(
    'after',
    '\nExamples:\n  $ fleetctl start hello.service\n  $ fleetctl list-units\n  $ fleetctl help start',
  );
  for (const command of COMMANDS) addCommand(program, command, streams, done);
  program.on('command:*', ([word = '']: readonly string[]) =>
    program.error(`error: unknown command '${word}'${suggestion(word)}`),
  );
  return program;
}

/** In the words that commander has for options. */
function suggestion(word: string): string {
  const verbs = verbsFor(word, [...COMMANDS.map(({ name }) => name), 'help']);
  if (verbs.length === 0) return '';
  return `\n(Did you mean ${verbs.length === 1 ? '' : 'one of '}${verbs.join(', ')}?)`;
}

function addCommand(
  parent: Commander,
  command: Command,
  streams: Streams,
  done: (status: number) => void,
): void {
  // .command() hands exitOverride and configureOutput down; addCommand() would not.
  const verb = parent
    .command(`${command.name} ${command.arguments}`.trim())
    .summary(command.summary)
    .description(`${command.summary}.\n\n${command.description}`)
    .showHelpAfterError(
      parent.parent === null ? `hint: fleetctl help ${command.name}` : `hint: fleetctl help ${parent.name()}`,
    )
    .passThroughOptions(command.passThrough === true);
  for (const { flags, description, choices, repeatable } of command.options) {
    const option = new Option(flags, description);
    if (repeatable)
      option.argParser((value, before) => (before === undefined ? value : `${before},${value}`));
    verb.addOption(choices === undefined ? option : option.choices([...choices]));
  }
  const own = new Set(command.options.map(({ flags }) => flags));
  for (const [flags] of GLOBAL_OPTIONS) if (!own.has(flags)) verb.addOption(new Option(flags).hideHelp());
  verb.addHelpText(
    'after',
    `\nExamples:\n${exampleLines(command).join('\n')}\n\nGlobal options: fleetctl --help`,
  );
  for (const each of command.subcommands ?? []) addCommand(verb, each, streams, done);
  verb.action(async (..._: unknown[]) => {
    const { quiet, ...flags }: ConfigFlags & { quiet?: true } = {
      ...parent.parent?.opts(),
      ...parent.opts(),
      ...verb.opts(),
    };
    const audience = { ...streams, quiet: quiet ?? isQuiet(streams.env) };
    done(await command.run({ arguments: verb.args, options: verb.opts(), flags, streams: audience }));
  });
}

/** The twin of --quiet. Throws FleetError `usage` for a value that is neither yes nor no. */
function isQuiet({ FLEETCTL_QUIET: value = '' }: Streams['env']): boolean {
  if (['', 'false', '0'].includes(value)) return false;
  if (['true', '1'].includes(value)) return true;
  throw new FleetError(
    'usage',
    `Cannot use environment variable "FLEETCTL_QUIET": "${value}" is not true or false`,
    { hint: 'Set it to true or unset it' },
  );
}

function exampleLines({ examples }: Command): readonly string[] {
  const widest = Math.max(...examples.map(([line]) => line.length));
  return examples.map(([line, what]) => `  $ ${line.padEnd(widest)}   ${what}`);
}

/** commander starts its messages with "error:"; ours start with a capital. */
function tidy(text: string): string {
  return text.replace(/^error: /, 'Error: ');
}
