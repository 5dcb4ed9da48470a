import type { ConfigFlags } from '../config/settings.ts';
import type { ReportLines } from '../output/report.ts';
import type { Topic } from './manual/titles.ts';
import { type Streams, writeLines } from './streams.ts';
import { type Text, textOfLines } from './terminal.ts';

/** An option of a command, as commander writes it: `-o, --output <format>`. */
export type CommandOption = {
  readonly flags: string;
  readonly description: string;
  readonly choices?: readonly string[];
  /** Names that its value may list, separated by commas; for completion. */
  readonly list?: readonly string[];
  /** If it is given several times, its values are joined with commas. */
  readonly repeatable?: boolean;
};

/** One verb. `run` loads its code, so that help and other verbs start faster. */
export type Command = {
  readonly name: string;
  /** As commander writes them: `<unit...>`. */
  readonly arguments: string;
  readonly summary: string;
  /** The topic of the manual with more about it. */
  readonly topic?: Topic;
  /** It changes neither the registry nor machines nor fleet.conf. */
  readonly isReadOnly?: true;
  /** It is about unit files, so it takes templates too. */
  readonly takesTemplates?: true;
  /** The text of help after the summary. */
  readonly description: string;
  readonly options: readonly CommandOption[];
  /** Command lines with their effects. */
  readonly examples: readonly (readonly [string, string])[];
  /** Options after its first argument are arguments of the command. */
  readonly passThrough?: boolean;
  /** Verbs that follow its name. Such a command runs without arguments, or not at all. */
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

/** Prints success messages; on standard error if standard output cannot be written. */
export function printInfo({ out, quiet }: Streams, lines: readonly string[]): void {
  if (quiet !== true) writeLines((text) => out(text, text), lines);
}

/** Prints the lines of a report: those for standard output are success messages. */
export function printReport(streams: Streams, { out, err }: ReportLines): void {
  printInfo(streams, out);
  writeLines(streams.err, err);
}

/** Prints the answer of `-o json`. If it cannot be written, `otherwise` goes to standard error. */
export async function printJson({ out }: Streams, answer: object, otherwise?: Text): Promise<void> {
  const { jsonText } = await import('../output/json.ts');
  out(jsonText(answer), otherwise);
}

/**
 * Prints an answer in lines or, with `-o json`, as one object; messages for people go to standard error in both cases.
 * With `isReport` the lines are success messages.
 */
export async function printAnswer(
  { options, streams }: Pick<Call, 'options' | 'streams'>,
  { out, err }: ReportLines,
  json: () => object,
  isReport = false,
): Promise<void> {
  if (options.output === 'json') await printJson(streams, json(), isReport ? textOfLines(out) : '');
  else if (isReport) printInfo(streams, out);
  else writeLines(streams.out, out);
  writeLines(streams.err, err);
}
