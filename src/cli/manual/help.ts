import { nearest } from '../../base/text.ts';
import { pageText } from '../../output/manual/text.ts';
import { EXIT } from '../exit-status.ts';
import { COMMANDS, runProgram } from '../program.ts';
import type { Streams } from '../streams.ts';
import { verbsFor } from '../suggestion.ts';
import { showPaged } from './pager.ts';
import { TOPICS, titleOf } from './topics.ts';

const WIDTH = 80;
/** Longer lines are hard to read. */
const WIDEST = 100;

/** `fleetctl help`, followed by these words. Returns the exit status. */
export async function help(words: readonly string[], streams: Streams): Promise<number> {
  const [word] = words;
  if (word === undefined) {
    const status = await runProgram(['help'], streams);
    streams.out(`\n${topicList()}`);
    return status;
  }
  const isCommand = COMMANDS.some(({ name }) => name === word);
  const page = words.length === 1 ? TOPICS.get(word) : undefined;
  if (page !== undefined) {
    if (isCommand) await runProgram(['help', word], streams);
    const width = Math.min(streams.screen?.size().columns ?? WIDTH, WIDEST);
    await showPaged(`${isCommand ? '\n' : ''}${pageText(page, width)}`, streams);
    return EXIT.done;
  }
  const near = nearest(word, [...TOPICS.keys()]);
  if (near === undefined || isCommand) return runProgram(['help', ...words], streams);
  const meant = [
    near,
    ...verbsFor(
      word,
      COMMANDS.map(({ name }) => name),
    ),
  ];
  const list = `${meant.length === 1 ? '' : 'one of '}${meant.join(', ')}`;
  streams.err(`Error: unknown command or topic '${word}'\n(Did you mean ${list}?)\nhint: fleetctl help\n`);
  return EXIT.usage;
}

function topicList(): string {
  const widest = Math.max(...[...TOPICS.keys()].map((name) => name.length));
  const lines = [...TOPICS].map(([name, page]) => `  ${name.padEnd(widest)}  ${titleOf(page)}`);
  return `Topics:\n${lines.join('\n')}\n\nA topic is shown by: fleetctl help TOPIC\n`;
}
