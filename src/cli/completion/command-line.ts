import { type ConfigFlags, GLOBAL_OPTIONS } from '../../config/settings.ts';
import type { Command, CommandOption } from '../command.ts';
import { COMMANDS } from '../commands/all.ts';
import { HELP_OPTION, VERSION_OPTION } from '../help-text.ts';

/** The part of a command line before the word that is being typed. */
export type TypedLine = {
  readonly command: Command | undefined;
  /** The values of global options so far. */
  readonly flags: ConfigFlags;
  /** The option whose value is being typed. */
  readonly pending: CommandOption | undefined;
  /** The number of arguments so far. */
  readonly operands: number;
  /** No option can follow, after `--` or in a command for a machine. */
  readonly literal: boolean;
};

/** The options that can stand before a command. */
const GLOBALS: readonly CommandOption[] = [...GLOBAL_OPTIONS, HELP_OPTION, VERSION_OPTION];

/** Reads the words of an unfinished command line, which may be wrong, as far as possible. */
export function readTypedLine(words: readonly string[]): TypedLine {
  let command: Command | undefined;
  let pending: CommandOption | undefined;
  let operands = 0;
  let literal = false;
  const flags: Record<string, string> = {};
  for (const word of words) {
    if (pending !== undefined) {
      note(flags, pending, word);
      pending = undefined;
    } else if (!literal && word === '--') {
      literal = true;
    } else if (!literal && word.startsWith('-')) {
      const option = optionNamed(word, optionsOf(command));
      const equals = word.indexOf('=');
      if (option !== undefined && equals > 0) note(flags, option, word.slice(equals + 1));
      else if (option !== undefined && valueName(option) !== undefined) pending = option;
    } else if (command === undefined) {
      command = COMMANDS.find(({ name }) => name === word);
      // An unknown command has no options.
      if (command === undefined) return { command, flags, pending, operands: 1, literal: true };
    } else if (operands === 0 && command.subcommands !== undefined) {
      command = command.subcommands.find(({ name }) => name === word);
      if (command === undefined) return { command, flags, pending, operands: 1, literal: true };
    } else {
      operands += 1;
      literal ||= command.passThrough === true;
    }
  }
  return { command, flags, pending, operands, literal };
}

/** The options that can stand after a command: global ones only before it. */
export function optionsOf(command: Command | undefined): readonly CommandOption[] {
  return command === undefined ? GLOBALS : [...command.options, HELP_OPTION];
}

/** The option that `word` names, as `--output`, `--output=json` or `-o`. */
export function optionNamed(word: string, options: readonly CommandOption[]): CommandOption | undefined {
  const [name = ''] = word.split('=', 1);
  return options.find((option) => namesOf(option).includes(name));
}

/** `-o, --output <format>` → `-o` and `--output`. */
export function namesOf({ flags }: CommandOption): readonly string[] {
  return flags.match(/(?<![\w-])--?[a-zA-Z][\w-]*/g) ?? [];
}

/** `-o, --output <format>` → `format`; undefined for an option without a value. */
export function valueName({ flags }: CommandOption): string | undefined {
  return /<([^>]+)>/.exec(flags)?.[1];
}

/** Keeps the value of an option under the name that its command would find it by: `--ssh-timeout` → sshTimeout. */
function note(flags: Record<string, string>, option: CommandOption, value: string): void {
  const long = namesOf(option).at(-1)?.slice(2) ?? '';
  flags[long.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())] = value;
}
