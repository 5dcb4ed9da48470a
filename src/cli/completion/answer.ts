import { isFleetError } from '../../base/errors.ts';
import type { Config } from '../../config/config.ts';
import { GLOBAL_OPTIONS } from '../../config/settings.ts';
import { COMMANDS } from '../commands/all.ts';
import type { KnownNames } from '../known-names.ts';
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
      const { ownConfig } = await import('../own-config.ts');
      const config = await ownConfig(flags, streams);
      return (await namesIn(config, streams))?.units ?? [];
    },
    async machines(flags) {
      const { loadConfig } = await import('../../config/load.ts');
      const { env, cwd, home } = streams;
      const config = await loadConfig({ flags, env, cwd, home });
      const names = await namesIn(config, streams).catch((error) => {
        if (!isFleetError(error)) throw error;
      });
      const proposed = config.machines.map(({ machine }) => machine);
      return (names?.machines ?? proposed).map(({ name, address }) => ({ word: name, about: address }));
    },
    async topics() {
      const { TOPICS, titleOf } = await import('../manual/topics.ts');
      return [...TOPICS].map(([word, page]) => ({ word, about: titleOf(page) }));
    },
  };
}

/** The names in the registry; of one that is reached over SSH those that a command has read, undefined without any. */
async function namesIn(config: Config, streams: Streams): Promise<KnownNames | undefined> {
  const [{ reachOf, openRegistry }, { namesKept }, { clusterMachines }] = await Promise.all([
    import('../registry.ts'),
    import('../known-names.ts'),
    import('../../registry/inventory.ts'),
  ]);
  if (reachOf(config) === 'over ssh') return namesKept(config, streams);
  const { registry } = await openRegistry(config, streams);
  const proposed = config.machines.map(({ machine }) => machine);
  try {
    return await registry.read((view) => ({
      units: view.unitNames,
      machines: clusterMachines(view, proposed),
    }));
  } finally {
    await registry.close();
  }
}
