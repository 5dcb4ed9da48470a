import type { Command as Commander, Help } from 'commander';
import type { Streams } from './streams.ts';

/** Below this width, in columns, a description stands under its term and not beside it. */
const NARROW = 24;
const DEFAULT_WIDTH = 80;

/** One example: a command line, and what it does. */
type Example = readonly [line: string, effect: string];

/** How many columns help may use: COLUMNS, else those of the terminal, else 80. */
export function helpWidth({ env, screen }: Pick<Streams, 'env' | 'screen'>): number {
  const columns = Number(env.COLUMNS);
  return Number.isInteger(columns) && columns > 0 ? columns : (screen?.size().columns ?? DEFAULT_WIDTH);
}

/** Formats the help of a command: commands by groups first, options last. Replaces `Help.formatHelp`. */
export function formatHelp(command: Commander, helper: Help): string {
  const width = helper.helpWidth ?? DEFAULT_WIDTH;
  const section = (heading: string, rows: readonly (readonly [string, string])[]): readonly string[] => {
    if (rows.length === 0) return [];
    const widest = Math.max(...rows.map(([term]) => term.length));
    const item = ([term, text]: readonly [string, string]): string =>
      width - widest - 4 < NARROW
        ? `  ${term}\n${helper.boxWrap(text, width - 6).replaceAll(/^/gm, ' '.repeat(6))}`
        : helper.formatItem(term, widest, text, helper);
    return [heading, ...rows.map(item), ''];
  };
  const subcommands = helper.visibleCommands(command);
  const groups = helper.groupItems(
    [...command.commands],
    subcommands,
    (each) => each.helpGroup() || 'Commands:',
  );
  return [
    helper.boxWrap(`Usage: ${helper.commandUsage(command)}`, width),
    '',
    helper.boxWrap(helper.commandDescription(command), width),
    '',
    ...[...groups].flatMap(([heading, commands]) =>
      section(
        heading,
        commands.map((each) => [each.name(), helper.subcommandDescription(each)]),
      ),
    ),
    ...section(
      'Options:',
      helper
        .visibleOptions(command)
        .map((option) => [helper.optionTerm(option), helper.optionDescription(option)]),
    ),
  ].join('\n');
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
