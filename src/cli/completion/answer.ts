import { GLOBAL_OPTIONS } from '../../config/settings.ts';
import { COMMANDS } from '../commands/all.ts';
import type { Streams } from '../streams.ts';
import { type Candidate, complete, type Sources } from './complete.ts';

/**
 * Answers a completion script: a line a candidate, then perhaps a tab and what it is. `argv` is `--` and the
 * words after the program's name.
 */
export async function answerCompletion(argv: readonly string[], streams: Streams): Promise<void> {
  const words = argv[0] === '--' ? argv.slice(1) : argv;
  const candidates = await complete({
    words,
    commands: COMMANDS,
    globals: [...GLOBAL_OPTIONS, ...ALONE],
    sources: sourcesOf(streams),
    streams,
  });
  streams.out(candidates.map(lineOf).join(''));
}

const ALONE = [
  { flags: '-h, --help', description: 'show help' },
  { flags: '-V, --version', description: 'print the version' },
];

function lineOf({ word, about }: Candidate): string {
  return about === undefined ? `${word}\n` : `${word}\t${about}\n`;
}

function sourcesOf(streams: Streams): Sources {
  return {
    async units(flags) {
      const { withRegistry } = await import('../registry.ts');
      return withRegistry({ flags, streams }, (registry) => registry.read(({ unitNames }) => unitNames));
    },
    async machines(flags) {
      const { loadConfig } = await import('../../config/load.ts');
      const { env, cwd, home } = streams;
      const { machines } = await loadConfig({ flags, env, cwd, home });
      return machines.map(({ machine: { name, address } }) => ({ word: name, about: address }));
    },
    async topics() {
      const { TOPICS, titleOf } = await import('../manual/topics.ts');
      return [...TOPICS].map(([word, page]) => ({ word, about: titleOf(page) }));
    },
  };
}
