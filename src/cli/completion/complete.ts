import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { isFleetError } from '../../base/errors.ts';
import { hasControlCharacter } from '../../base/text.ts';
import type { ConfigFlags } from '../../config/settings.ts';
import { hasUnitSuffix } from '../../unit/unit-name.ts';
import type { Command, CommandOption } from '../command.ts';
import { COMMANDS } from '../commands/all.ts';
import { TOPIC_ROWS } from '../manual/titles.ts';
import type { Streams } from '../streams.ts';
import { namesOf, optionNamed, optionsOf, readTypedLine, type TypedLine, valueName } from './command-line.ts';
import { machineNames, unitNames } from './names.ts';

/** A word that can replace the one at the cursor. After `/`, `=`, `,` or `@` the word is not finished. */
type Candidate = { readonly word: string; readonly about?: string };

/**
 * Answers a completion script: a line a candidate, then perhaps a tab and what it is. `argv` is `--` and the words after the
 * program's name; the last one may be unfinished. Uses no network, and a wrong word is no error.
 */
export async function answerCompletion(argv: readonly string[], streams: Streams): Promise<void> {
  const words = argv[0] === '--' ? argv.slice(1) : argv;
  const typed = words.at(-1) ?? '';
  try {
    const candidates = await candidatesFor(typed, readTypedLine(words.slice(0, -1)), streams);
    // A name with control characters cannot be offered.
    const offered = candidates.filter(({ word }) => word.startsWith(typed) && !hasControlCharacter(word));
    streams.out(offered.map(lineOf).join(''));
  } catch (error) {
    if (!isFleetError(error)) throw error;
  }
}

function lineOf({ word, about }: Candidate): string {
  return about === undefined ? `${word}\n` : `${word}\t${about}\n`;
}

async function candidatesFor(
  typed: string,
  line: TypedLine,
  streams: Streams,
): Promise<readonly Candidate[]> {
  const { command, pending, literal } = line;
  const options = optionsOf(command);
  if (pending !== undefined) return valuesOf(pending, typed, line.flags, streams);
  if (!literal && typed.startsWith('-')) {
    const equals = typed.indexOf('=');
    const option = equals < 0 ? undefined : optionNamed(typed, options);
    if (option === undefined) return options.flatMap(optionCandidates);
    const values = await valuesOf(option, typed.slice(equals + 1), line.flags, streams);
    return values.map(({ word }) => ({ word: `${typed.slice(0, equals + 1)}${word}` }));
  }
  if (command === undefined) {
    return literal ? [] : COMMANDS.map(named);
  }
  if (command.subcommands !== undefined) return command.subcommands.map(named);
  return operands(command, typed, line, streams);
}

function optionCandidates(option: CommandOption): readonly Candidate[] {
  const long = namesOf(option).filter((name) => name.startsWith('--'));
  return long.map((word) => ({ word, about: option.description }));
}

function named({ name, summary }: Command): Candidate {
  return { word: name, about: summary };
}

/** The candidates for the value of an option, from its choices or from the name in its angle brackets. */
async function valuesOf(
  option: CommandOption,
  typed: string,
  flags: ConfigFlags,
  streams: Streams,
): Promise<readonly Candidate[]> {
  const { choices, list } = option;
  if (choices !== undefined) return choices.map((word) => ({ word }));
  if (list !== undefined) {
    const before = typed.slice(0, typed.lastIndexOf(',') + 1);
    const given = before.split(',');
    return list.filter((name) => !given.includes(name)).map((name) => ({ word: `${before}${name}` }));
  }
  const kind = valueName(option);
  if (kind === 'machine') return machinesFor(flags, streams);
  if (kind === 'unit') return (await unitNames(flags, streams)).map((word) => ({ word }));
  return kind === 'file' ? localFiles(typed, streams.cwd, () => true) : [];
}

/** The names in the brackets determine the candidates: `<unit...>`, `[machine|unit] [command...]`. */
async function operands(
  command: Command,
  typed: string,
  line: TypedLine,
  streams: Streams,
): Promise<readonly Candidate[]> {
  const places = command.arguments.split(' ').filter((place) => place !== '');
  const place = places[line.operands] ?? (places.at(-1)?.includes('...') ? places.at(-1) : undefined);
  const kinds: readonly string[] = place?.match(/[a-z]+/g) ?? [];
  const isPath = /[/.]/.test(typed.slice(0, 1)) || typed.includes('/');
  const takesFiles = command.options.some(({ flags }) => flags.startsWith('--replace'));
  const found = await Promise.all([
    kinds.filter((kind) => SHELLS.has(kind)).map((word) => ({ word })),
    // A topic may have the name of a command.
    kinds.includes('topic')
      ? [...TOPIC_ROWS.map(([word, about]) => ({ word, about })), ...COMMANDS.map(named)]
      : [],
    kinds.includes('unit') ? unitsFor(command, await unitNames(line.flags, streams)) : [],
    kinds.includes('machine') ? machinesFor(line.flags, streams) : [],
    kinds.includes('file') || (kinds.includes('unit') && (takesFiles || isPath))
      ? localFiles(typed, streams.cwd, hasUnitSuffix)
      : [],
  ]);
  const once = new Map(found.flat().map((candidate) => [candidate.word, candidate]));
  return [...once.values()];
}

const SHELLS: ReadonlySet<string> = new Set(['bash', 'zsh', 'fish']);

/** For commands that take no templates, the name of one is the beginning of an instance. */
function unitsFor({ takesTemplates }: Command, units: readonly string[]): readonly Candidate[] {
  if (takesTemplates === true) return units.map((word) => ({ word }));
  return units.map((unit) => ({ word: unit.replace(/^([^@]+@)\.[a-z]+$/, '$1') }));
}

async function machinesFor(flags: ConfigFlags, streams: Streams): Promise<readonly Candidate[]> {
  return (await machineNames(flags, streams)).map(({ name, address }) => ({ word: name, about: address }));
}

type Word = { readonly word: string };

/** Files below `cwd` whose path may begin with `typed`, as far as the next folder; folders end in `/`. */
async function localFiles(
  typed: string,
  cwd: string,
  wanted: (name: string) => boolean,
): Promise<readonly Word[]> {
  const folder = typed.slice(0, typed.lastIndexOf('/') + 1);
  const start = typed.slice(folder.length);
  const place = resolve(cwd, folder);
  const entries = await readdir(place, { withFileTypes: true }).catch(() => []);
  const near = entries.filter(
    ({ name }) => name.startsWith(start) && !(start === '' && name.startsWith('.')),
  );
  const found = await Promise.all(
    near.map(async (entry): Promise<readonly Word[]> => {
      const isFolder =
        entry.isDirectory() || (entry.isSymbolicLink() && (await isFolderAt(join(place, entry.name))));
      if (isFolder) return [{ word: `${folder}${entry.name}/` }];
      return wanted(entry.name) ? [{ word: `${folder}${entry.name}` }] : [];
    }),
  );
  return found.flat();
}

function isFolderAt(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
