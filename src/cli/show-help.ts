import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { nearest } from '../base/text.ts';
import { visible } from '../base/visible.ts';
import { COMMANDS, isReadOnly } from './commands/all.ts';
import { EXIT } from './exit-status.ts';
import { helpWidth, programHelp } from './help-text.ts';
import { isTopic, TOPIC_ROWS } from './manual/titles.ts';
import type { Streams } from './streams.ts';
import { verbsFor } from './suggestion.ts';

/** Longer lines are hard to read. */
const WIDEST = 100;

/** Shows the help of the command with this name, as in `machines add`, and returns the exit status. */
type HelpOfCommand = (path: readonly string[], streams: Streams) => Promise<number>;

/** `fleetctl help`, followed by these words. Returns the exit status. */
export async function help(
  words: readonly string[],
  streams: Streams,
  helpOfCommand: HelpOfCommand,
): Promise<number> {
  const [word, ...more] = words;
  if (word === undefined) {
    streams.out(`${programHelp(helpWidth(streams))}\n${topicList()}`);
    return EXIT.done;
  }
  const isCommand = COMMANDS.some(({ name }) => name === word);
  if (more.length === 0 && isTopic(word)) {
    if (isCommand) await helpOfCommand(words, streams);
    const width = Math.min(helpWidth(streams), WIDEST);
    const [{ TOPICS }, { pageText }] = await Promise.all([
      import('./manual/topics.ts'),
      import('../output/manual/text.ts'),
    ]);
    await showPaged(`${isCommand ? '\n' : ''}${pageText(TOPICS[word], width)}`, streams);
    return EXIT.done;
  }
  if (isCommand) return helpOfCommand(words, streams);
  return isTopic(word) ? refuseMore(word, more, streams) : refuse(word, streams);
}

function topicList(): string {
  const widest = Math.max(...TOPIC_ROWS.map(([name]) => name.length));
  const lines = TOPIC_ROWS.map(([name, title]) => `  ${name.padEnd(widest)}  ${title}`);
  return `Topics:\n${lines.join('\n')}\n\nA topic is shown by: fleetctl help TOPIC\n`;
}

/** Says that a topic has no parts. Returns the exit status. */
function refuseMore(topic: string, more: readonly string[], streams: Streams): number {
  streams.err(
    `Error: nothing may follow the topic '${topic}': '${more.join(' ')}'\nhint: fleetctl help ${topic}\n`,
  );
  return EXIT.usage;
}

/** Says that a word is neither a command nor a topic. Returns the exit status. */
function refuse(word: string, streams: Streams): number {
  const near = nearest(
    word,
    TOPIC_ROWS.map(([name]) => name),
  );
  const verbs = verbsFor(
    word,
    COMMANDS.map(({ name }) => name),
    isReadOnly,
  );
  // A topic may have the name of a command.
  const meant = [...new Set([...(near === undefined ? [] : [near]), ...verbs])];
  const list = `${meant.length === 1 ? '' : 'one of '}${meant.join(', ')}`;
  const question = meant.length === 0 ? '' : `(Did you mean ${list}?)\n`;
  streams.err(`Error: unknown command or topic '${word}'\n${question}hint: fleetctl help\n`);
  return EXIT.usage;
}

/** Shows a text that is longer than the terminal with $PAGER (`less` unless set), any other at once. */
export async function showPaged(text: string, streams: Streams): Promise<void> {
  const rows = streams.screen?.size().rows;
  const pager = streams.env.PAGER ?? 'less';
  const isShort = rows === undefined || text.split('\n').length <= rows;
  if (isShort || pager.trim() === '' || !(await page(text, pager, streams))) streams.out(text);
}

/** Whether the pager could be started. */
async function page(text: string, pager: string, { env }: Streams): Promise<boolean> {
  // Ctrl-C is for the pager.
  const ignore = (): void => undefined;
  const others = process.listeners('SIGINT');
  process.removeAllListeners('SIGINT').on('SIGINT', ignore);
  try {
    // A user may set PAGER to a command with options.
    const child = spawn('/bin/sh', ['-c', pager], {
      stdio: ['pipe', 'inherit', 'inherit'],
      env: { ...env, LESS: env.LESS ?? 'FRX' },
    });
    child.stdin.on('error', ignore);
    child.stdin.end(visible(text));
    const [status] = await once(child, 'close');
    return status !== 126 && status !== 127;
  } catch {
    return false;
  } finally {
    process.removeListener('SIGINT', ignore);
    for (const each of others) process.on('SIGINT', each);
  }
}
