import { GLOBAL_OPTIONS } from '../config/settings.ts';
import type { CommandOption } from './command.ts';
import { GROUPS } from './commands/all.ts';
import { formatExamples, formatHelp, type HelpPage } from './format-help.ts';

/** The options that stand alone. */
export const VERSION_OPTION: CommandOption = { flags: '-V, --version', description: 'print the version' };
export const HELP_OPTION: CommandOption = { flags: '-h, --help', description: 'show help' };

/** The help of the program. */
export const PROGRAM: HelpPage = {
  usage: 'fleetctl [options] [command]',
  description: 'Treat a set of machines as one init system: systemd units over SSH, no agents.',
  sections: [
    ...GROUPS.map(
      ([heading, commands]) =>
        [heading, commands.map(({ name, summary }) => [name, summary] as const)] as const,
    ),
    [
      'Options:',
      [VERSION_OPTION, ...GLOBAL_OPTIONS, HELP_OPTION].map(({ flags, description }) => [flags, description]),
    ],
  ],
};

export const PROGRAM_EXAMPLES = [
  ['fleetctl start hello.service', 'start a unit on one of the machines'],
  ['fleetctl list-units', 'show the state of all units'],
  ['fleetctl help start', 'show help for a command'],
  ['fleetctl help', 'show the topics of the manual too'],
] as const;

/** What `fleetctl --help` shows, without a parser of command lines, which takes longer to load than the rest. */
export function programHelp(width: number): string {
  return `${formatHelp(PROGRAM, width)}\n${formatExamples(PROGRAM_EXAMPLES, width)}\n`;
}
