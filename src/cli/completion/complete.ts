import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { isFleetError } from '../../base/errors.ts';
import type { ConfigFlags } from '../../config/settings.ts';
import { hasUnitSuffix } from '../../unit/unit-name.ts';
import type { Command, CommandOption } from '../command.ts';
import type { Streams } from '../streams.ts';
import { namesOf, optionNamed, optionsOf, readTypedLine, type TypedLine, valueName } from './command-line.ts';

/** A word that can replace the one at the cursor. After `/`, `=`, `,` or `@` the word is not finished. */
export type Candidate = { readonly word: string; readonly about?: string };

/** The sources of words besides commands and options. */
export type Sources = {
  /** Names of units and templates in the registry. */
  units(flags: ConfigFlags): Promise<readonly string[]>;
  /** Machines of fleet.conf, with their addresses. */
  machines(flags: ConfigFlags): Promise<readonly Candidate[]>;
  /** Topics of the manual, with their titles. */
  topics(): readonly Candidate[];
};

export type CompletionRequest = {
  /** The words after the program's name; the last one may be unfinished. */
  readonly words: readonly string[];
  readonly commands: readonly Command[];
  readonly globals: readonly CommandOption[];
  readonly sources: Sources;
  readonly streams: Pick<Streams, 'cwd'>;
};

/** All candidates for the last word that begin like it. Uses no network, and a wrong word is no error. */
export async function complete(request: CompletionRequest): Promise<readonly Candidate[]> {
  const typed = request.words.at(-1) ?? '';
  const line = readTypedLine(request.words.slice(0, -1), request.commands, request.globals);
  try {
    const candidates = await candidatesFor(typed, line, request);
    // A name with control characters cannot be offered.
    return candidates.filter(({ word }) => word.startsWith(typed) && !/\p{Cc}/u.test(word));
  } catch (error) {
    if (isFleetError(error)) return [];
    throw error;
  }
}

async function candidatesFor(
  typed: string,
  line: TypedLine,
  request: CompletionRequest,
): Promise<readonly Candidate[]> {
  const { command, pending, literal } = line;
  const options = optionsOf(command, request.globals);
  if (pending !== undefined) return valuesOf(pending, typed, line.flags, request);
  if (!literal && typed.startsWith('-')) {
    const equals = typed.indexOf('=');
    const option = equals < 0 ? undefined : optionNamed(typed, options);
    if (option === undefined) return options.flatMap(optionCandidates);
    const values = await valuesOf(option, typed.slice(equals + 1), line.flags, request);
    return values.map(({ word }) => ({ word: `${typed.slice(0, equals + 1)}${word}` }));
  }
  if (command === undefined) {
    return literal ? [] : request.commands.map(named);
  }
  if (command.subcommands !== undefined) return command.subcommands.map(named);
  return operands(command, typed, line, request);
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
  { sources, streams }: CompletionRequest,
): Promise<readonly Candidate[]> {
  const { choices, list } = option;
  if (choices !== undefined) return choices.map((word) => ({ word }));
  if (list !== undefined) {
    const before = typed.slice(0, typed.lastIndexOf(',') + 1);
    const given = before.split(',');
    return list.filter((name) => !given.includes(name)).map((name) => ({ word: `${before}${name}` }));
  }
  const kind = valueName(option);
  if (kind === 'machine') return sources.machines(flags);
  if (kind === 'unit') return (await sources.units(flags)).map((word) => ({ word }));
  return kind === 'file' ? localFiles(typed, streams.cwd, () => true) : [];
}

/** The names in the brackets determine the candidates: `<unit...>`, `[machine|unit] [command...]`. */
async function operands(
  command: Command,
  typed: string,
  line: TypedLine,
  request: CompletionRequest,
): Promise<readonly Candidate[]> {
  const places = command.arguments.split(' ').filter((place) => place !== '');
  const place = places[line.operands] ?? (places.at(-1)?.includes('...') ? places.at(-1) : undefined);
  const kinds: readonly string[] = place?.match(/[a-z]+/g) ?? [];
  const { sources, streams, commands } = request;
  const isPath = /[/.]/.test(typed.slice(0, 1)) || typed.includes('/');
  const takesFiles = command.options.some(({ flags }) => flags.startsWith('--replace'));
  const found = await Promise.all([
    kinds.filter((kind) => SHELLS.has(kind)).map((word) => ({ word })),
    // A topic may have the name of a command.
    kinds.includes('topic') ? [...sources.topics(), ...commands.map(named)] : [],
    kinds.includes('unit') ? unitsFor(command, await sources.units(line.flags)) : [],
    kinds.includes('machine') ? sources.machines(line.flags) : [],
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
