import { Command as Commander, CommanderError, type Help, Option } from 'commander';
import { FleetError } from '../base/errors.ts';
import { type ConfigFlags, GLOBAL_OPTIONS } from '../config/settings.ts';
import type { Call, Command } from './command.ts';
import { COMMANDS, isReadOnly } from './commands/all.ts';
import { helpCommand } from './commands/other.ts';
import { EXIT } from './exit-status.ts';
import {
  formatExamples,
  formatHelp,
  HELP_OPTION,
  type HelpPage,
  helpWidth,
  PROGRAM,
  PROGRAM_EXAMPLES,
  VERSION_OPTION,
} from './help-text.ts';
import type { Streams } from './streams.ts';
import { verbsFor } from './suggestion.ts';
import { VERSION_LINE } from './version.ts';

/** Parses the command line and runs its verb. */
export function runProgram(argv: readonly string[], streams: Streams): Promise<number> {
  return withProgram(argv, streams, (program) => program.parseAsync([...argv], { from: 'user' }));
}

/** Shows the help of the command with this name, as in `machines add`. */
export function helpOfCommand(path: readonly string[], streams: Streams): Promise<number> {
  return withProgram(path, streams, (program) => path.reduce(find, program).help());
}

async function withProgram(
  argv: readonly string[],
  streams: Streams,
  act: (program: Commander) => unknown,
): Promise<number> {
  let status: number = EXIT.done;
  try {
    await act(createProgram({ argv, streams, done: (result) => (status = result) }));
    return status;
  } catch (error) {
    // commander has printed its message; help and version end this way too, with 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    throw error;
  }
}

/** One command line; `done` gets the status of the verb that ran. */
type Invocation = {
  readonly argv: readonly string[];
  readonly streams: Streams;
  readonly done: (status: number) => void;
};

/** The command line as commander knows it. */
function createProgram(invocation: Invocation): Commander {
  const { streams } = invocation;
  const width = helpWidth(streams);
  const program = new Commander('fleetctl')
    .version(VERSION_LINE, VERSION_OPTION.flags)
    .helpOption(HELP_OPTION.flags, HELP_OPTION.description)
    .helpCommand(false)
    .configureHelp({ formatHelp: (command, helper) => formatHelp(pageOf(command, helper), width) })
    .showSuggestionAfterError()
    .showHelpAfterError('hint: fleetctl --help')
    .configureOutput({
      writeOut: streams.out,
      writeErr: streams.err,
      getOutHelpWidth: () => width,
      getErrHelpWidth: () => width,
      // By default, commander asks Node's streams, which it would take milliseconds to load.
      getOutHasColors: () => false,
      getErrHasColors: () => false,
      outputError: (text, write) => write(tidy(text)),
    })
    // Global options are known before a verb and, as options of every verb, after it: see addCommand.
    .enablePositionalOptions()
    .exitOverride();
  for (const { flags, description } of GLOBAL_OPTIONS) program.option(flags, description);
  program
    // commander shows the help of a group when --help follows a word that is none of its commands.
    .addHelpText('beforeAll', ({ command, error }) => {
      const [word] = command.args;
      if (command.commands.length > 0 && word !== undefined && !word.startsWith('-')) find(command, word);
      if (error && command !== program) refuse(command);
      return '';
    })
    .addHelpText('after', `\n${formatExamples(PROGRAM_EXAMPLES, width)}`)
    .on('command:*', ([word = '']: readonly string[]) => refuse(program, word));
  for (const command of COMMANDS) addCommand(program, command, invocation);
  return program;
}

/** The help of a command, as commander knows it. */
function pageOf(command: Commander, helper: Help): HelpPage {
  if (command.parent === null) return PROGRAM;
  const subcommands = helper.visibleCommands(command);
  const options = helper.visibleOptions(command);
  return {
    usage: helper.commandUsage(command),
    description: helper.commandDescription(command),
    sections: [
      ['Commands:', subcommands.map((each) => [each.name(), helper.subcommandDescription(each)])],
      ['Options:', options.map((each) => [helper.optionTerm(each), helper.optionDescription(each)])],
    ],
  };
}

/** The command of `parent` with that name; ends with an error if there is none. */
function find(parent: Commander, name: string): Commander {
  return parent.commands.find((command) => command.name() === name) ?? refuse(parent, name);
}

/** Ends with an error about a word that is not a command of `parent`, or about a missing command. */
function refuse(parent: Commander, word?: string): never {
  const names = parent.commands.map((command) => command.name());
  const isProgram = parent.parent === null;
  const of = isProgram ? '' : ` of '${parent.name()}'`;
  const choices = isProgram || names.length === 0 ? '' : `. Commands: ${names.join(', ')}.`;
  const near =
    word === undefined ? [] : verbsFor(word, names, isReadOnly, isProgram ? undefined : parent.name());
  const question =
    near.length === 0 ? '' : `\n(Did you mean ${near.length === 1 ? '' : 'one of '}${near.join(', ')}?)`;
  parent.error(
    word === undefined
      ? `error: missing command${of}${choices}`
      : `error: unknown command '${word}'${of}${choices}${question}`,
  );
}

/** Adds a verb. Only one that the command line names gets its options: commander needs 3 ms for those of all verbs. */
function addCommand(parent: Commander, command: Command, invocation: Invocation): void {
  // .command() hands exitOverride and configureOutput down; addCommand() would not.
  const verb = parent
    .command(`${command.name} ${command.arguments}`.trim())
    .summary(command.summary)
    .description(`${command.summary}.\n\n${command.description}`)
    .helpCommand(false)
    .passThroughOptions(command.passThrough === true);
  if (invocation.argv.includes(command.name)) equip(verb, command, parent, invocation);
}

/** Adds what is needed to run a verb and to show its help. */
function equip(verb: Commander, command: Command, parent: Commander, invocation: Invocation): void {
  const path = parent.parent === null ? command.name : `${parent.name()} ${command.name}`;
  verb.showHelpAfterError(`hint: fleetctl help ${path}`);
  for (const { flags, description, choices, repeatable } of command.options) {
    const option = new Option(flags, description);
    if (repeatable)
      option.argParser((value, before) => (before === undefined ? value : `${before},${value}`));
    verb.addOption(choices === undefined ? option : option.choices([...choices]));
  }
  const own = new Set(command.options.map(({ flags }) => flags));
  for (const { flags } of GLOBAL_OPTIONS) if (!own.has(flags)) verb.addOption(new Option(flags).hideHelp());
  verb.addHelpText(
    'after',
    () =>
      `\n${formatExamples(command.examples, helpWidth(invocation.streams))}\n\nGlobal options: fleetctl --help${moreOf(command)}`,
  );
  for (const each of command.subcommands ?? []) addCommand(verb, each, invocation);
  const run = command === helpCommand ? runHelp : command.run;
  if (run === undefined) {
    verb.on('command:*', ([word = '']: readonly string[]) => refuse(verb, word));
    return;
  }
  verb.allowExcessArguments(command.subcommands !== undefined);
  verb.action(async (..._: unknown[]) => {
    if (command.subcommands !== undefined && verb.args.length > 0) refuse(verb, verb.args[0]);
    const { quiet, ...flags }: ConfigFlags = {
      ...parent.parent?.opts(),
      ...parent.opts(),
      ...verb.opts(),
    };
    const streams = { ...invocation.streams, quiet: quiet ?? isQuiet(invocation.streams.env) };
    invocation.done(await run({ arguments: verb.args, options: verb.opts(), flags, streams }));
  });
}

function moreOf({ topic }: Command): string {
  return topic === undefined ? '' : `\nMore: fleetctl help ${topic}`;
}

async function runHelp({ arguments: words, streams }: Call): Promise<number> {
  const { help } = await import('./show-help.ts');
  return help(words, streams, helpOfCommand);
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

/** commander starts its messages with "error:"; ours start with a capital. */
function tidy(text: string): string {
  return text.replace(/^error: /, 'Error: ');
}
