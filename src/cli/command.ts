import type { ConfigFlags } from '../config/settings.ts';
import type { ReportLines } from '../output/report.ts';
import { type Streams, writeLines } from './streams.ts';
import { textOfLines } from './text.ts';

/** An option of a command, as commander writes it: `-o, --output <format>`. */
export type CommandOption = {
  readonly flags: string;
  readonly description: string;
  readonly choices?: readonly string[];
  /** Names its value may list, with commas; for completion. */
  readonly list?: readonly string[];
  /** Given several times, its values are one list with commas. */
  readonly repeatable?: boolean;
};

/** One verb. Its code is loaded by `run` alone, so that help and other verbs do not pay for it. */
export type Command = {
  readonly name: string;
  /** As commander writes them: `<unit...>`. */
  readonly arguments: string;
  readonly summary: string;
  /** What help says beyond the summary. */
  readonly description: string;
  readonly options: readonly CommandOption[];
  /** Command lines with what they do. */
  readonly examples: readonly (readonly [string, string])[];
  /** Options after its first argument belong to that, and not to this command. */
  readonly passThrough?: boolean;
  /** Verbs that follow its name. A command with subcommands has no `run`. */
  readonly subcommands?: readonly Command[];
  /** Resolves with the exit status: one of EXIT, or that of a command on a machine. */
  readonly run?: (call: Call) => Promise<number>;
};

/** One call of a command. */
export type Call = {
  readonly arguments: readonly string[];
  /** Options by their long names in camel case; a flag is true, an option with a value is text. */
  readonly options: Readonly<Record<string, string | boolean | undefined>>;
  readonly flags: ConfigFlags;
  readonly streams: Streams;
};

/** Tells what was done, on standard error where standard output cannot be written. */
export function talk({ out, quiet }: Streams, lines: readonly string[]): void {
  if (quiet !== true) writeLines((text) => out(text, text), lines);
}

/** The option of commands that answer in lines. */
export const OUTPUT: CommandOption = {
  flags: '-o, --output <format>',
  description: 'output format',
  choices: ['text', 'json'],
};

/**
 * Prints an answer in lines or, with `-o json`, as one object; what is for people goes to standard error in both.
 * `isReport` is for lines that tell what was done.
 */
export async function printAnswer(
  { options, streams }: Pick<Call, 'options' | 'streams'>,
  { out, err }: ReportLines,
  json: () => object,
  isReport = false,
): Promise<void> {
  if (options.output === 'json') {
    const { jsonText } = await import('../output/json.ts');
    streams.out(jsonText(json()), isReport ? textOfLines(out) : '');
  } else if (isReport) talk(streams, out);
  else writeLines(streams.out, out);
  writeLines(streams.err, err);
}
