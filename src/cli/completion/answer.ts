import { isFleetError } from '../../base/errors.ts';
import type { Config } from '../../config/config.ts';
import { GLOBAL_OPTIONS } from '../../config/settings.ts';
import type { RegistryView } from '../../registry/view.ts';
import { COMMANDS } from '../commands/all.ts';
import { HELP_OPTION, VERSION_OPTION } from '../help-text.ts';
import type { KnownNames } from '../known-names.ts';
import { TOPIC_ROWS } from '../manual/titles.ts';
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
    globals: [...GLOBAL_OPTIONS, HELP_OPTION, VERSION_OPTION],
    sources: sourcesOf(streams),
    streams,
  });
  streams.out(candidates.map(lineOf).join(''));
}

function lineOf({ word, about }: Candidate): string {
  return about === undefined ? `${word}\n` : `${word}\t${about}\n`;
}

function sourcesOf(streams: Streams): Sources {
  return {
    async units(flags) {
      const { ownConfig } = await import('../own-config.ts');
      const config = await ownConfig(flags, streams);
      return (await readNames(config, streams, 'units', (view) => view.unitNames)) ?? [];
    },
    async machines(flags) {
      const [{ loadConfig }, { clusterMachines }] = await Promise.all([
        import('../../config/load.ts'),
        import('../../registry/inventory.ts'),
      ]);
      const { env, cwd, home } = streams;
      const config = await loadConfig({ flags, env, cwd, home });
      const proposed = config.machines.map(({ machine }) => machine);
      const names = readNames(config, streams, 'machines', (view) => clusterMachines(view, proposed));
      const machines = await names.catch((error) => {
        if (!isFleetError(error)) throw error;
      });
      return (machines ?? proposed).map(({ name, address }) => ({ word: name, about: address }));
    },
    topics() {
      return TOPIC_ROWS.map(([word, about]) => ({ word, about }));
    },
  };
}

/** Names in the registry; of one that is reached over SSH those that a command has read, undefined without any. */
async function readNames<K extends keyof KnownNames>(
  config: Config,
  streams: Streams,
  kind: K,
  namesIn: (view: RegistryView) => KnownNames[K],
): Promise<KnownNames[K] | undefined> {
  const [{ reachOf, openRegistry }, { namesKept }] = await Promise.all([
    import('../registry.ts'),
    import('../known-names.ts'),
  ]);
  if (reachOf(config) === 'over ssh') return namesKept(config, streams)?.[kind];
  const { registry } = await openRegistry(config, streams);
  try {
    return await registry.read(namesIn);
  } finally {
    await registry.close();
  }
}
