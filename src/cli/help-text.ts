import { GLOBAL_OPTIONS } from '../config/settings.ts';
import type { CommandOption } from './command.ts';
import { GROUPS } from './commands/all.ts';
import type { Streams } from './streams.ts';

/** Below this width, in columns, a description stands under its term and not beside it. */
const NARROW = 24;
const DEFAULT_WIDTH = 80;

/** One example: a command line, and what it does. */
type Example = readonly [line: string, effect: string];

/** The help of a command; `sections` are its commands by groups, and its options, as terms with their meanings. */
export type HelpPage = {
  readonly usage: string;
  readonly description: string;
  readonly sections: readonly HelpSection[];
};

type HelpSection = readonly [heading: string, rows: readonly (readonly [term: string, text: string])[]];

/** How many columns help may use: COLUMNS, else those of the terminal, else 80. */
export function helpWidth({ env, screen }: Pick<Streams, 'env' | 'screen'>): number {
  const columns = Number(env.COLUMNS);
  return Number.isInteger(columns) && columns > 0 ? columns : (screen?.size().columns ?? DEFAULT_WIDTH);
}

/** The text of a help page, within `width` columns. */
export function formatHelp({ usage, description, sections }: HelpPage, width: number): string {
  const parts = [wrap(`Usage: ${usage}`, width), wrap(description, width)];
  const rest = sections.filter(([, rows]) => rows.length > 0).map((each) => formatSection(each, width));
  return `${[...parts, ...rest].join('\n\n')}\n`;
}

function formatSection([heading, rows]: HelpSection, width: number): string {
  const widest = Math.max(...rows.map(([term]) => term.length));
  const isNarrow = width - widest - 4 < NARROW;
  const indent = ' '.repeat(isNarrow ? 6 : widest + 4);
  const items = rows.map(([term, text]) => {
    const wrapped = wrap(text, width - indent.length).replaceAll('\n', `\n${indent}`);
    return isNarrow ? `  ${term}\n${indent}${wrapped}` : `  ${term.padEnd(widest)}  ${wrapped}`;
  });
  return [heading, ...items].join('\n');
}

/** The text in lines of at most `width` columns; a longer word is alone on its line. */
function wrap(text: string, width: number): string {
  const lines = text.split('\n').flatMap((written) => {
    const [first = '', ...words] = written.match(/\s*\S+/g) ?? [];
    const wrapped: string[] = [];
    let line = first;
    for (const word of words) {
      if (line.length + word.length <= width) line += word;
      else {
        wrapped.push(line);
        line = word.trimStart();
      }
    }
    return [...wrapped, line];
  });
  return lines.join('\n');
}

/** Formats examples: each effect beside its command line where all fit in `width` columns, else above it. */
export function formatExamples(examples: readonly Example[], width: number): string {
  const widest = Math.max(...examples.map(([line]) => line.length));
  const fits = examples.every(([, effect]) => widest + effect.length + 7 <= width);
  const lines = examples.map(([line, effect]) =>
    fits ? `  $ ${line.padEnd(widest)}   ${effect}` : `  # ${effect}\n  $ ${line}`,
  );
  return `Examples:\n${lines.join('\n')}`;
}

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
