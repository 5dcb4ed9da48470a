import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Key, keysOf, namesOfOption, SETTINGS } from '../../src/config/settings.ts';

export const ROOT = resolve(import.meta.dirname, '../..');

/** The text of a topic of the manual. */
export const topic = (name: string): string => readFileSync(resolve(ROOT, `src/manual/${name}.md`), 'utf8');

/** The names of all topics, which are the file names. */
export const TOPIC_FILES: readonly string[] = readdirSync(resolve(ROOT, 'src/manual'))
  .map((file) => file.replace(/\.md$/, ''))
  .sort();

/** The cells of the table of `text` that begins with `title`, row by row. */
export function rowsOf(text: string, title: string): readonly (readonly string[])[] {
  const start = text.indexOf(title);
  if (start < 0) throw new Error(`there is no table ${title}`);
  const table = text.slice(start).split('\n\n')[0] ?? '';
  const lines = table.trimEnd().split('\n').slice(2);
  return lines.map((line) => line.slice(2, -2).split(' | '));
}

/** The words in backticks. */
export function wordsOf(cell: string): readonly string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word);
}

/** The topic `config` with the tables that are made from the settings. */
export function withSettings(text: string): string {
  const each = [...new Set([...keysOf('machine'), ...keysOf('ssh')].map(({ name }) => name))];
  const connecting = each.map((name) =>
    [...keysOf('machine'), ...keysOf('ssh')].find((key) => key.name === name),
  );
  const tables = [
    [
      '| key | default | meaning |',
      keysOf('top').map((key) => [`\`${key.name}\``, defaultOf(key), key.about]),
    ],
    [
      '| key | section | default | meaning |',
      connecting.flatMap((key) =>
        key === undefined ? [] : [[`\`${key.name}\``, sectionsOf(key), defaultOf(key), key.about]],
      ),
    ],
    [
      '| option | variable | meaning |',
      SETTINGS.flatMap((row) => ('option' in row ? [optionCells(row.option)] : [])),
    ],
  ] as const;
  return tables.reduce((left, [title, rows]) => {
    const start = left.indexOf(title);
    const lines = [title, title.replace(/[^|]+/g, '---'), ...rows.map((cells) => `| ${cells.join(' | ')} |`)];
    return left.slice(0, start) + lines.join('\n') + left.slice(left.indexOf('\n\n', start));
  }, text);
}

function defaultOf(key: Key): string {
  if (key.required) return 'required';
  const value = key.default === undefined ? (key.unset ?? 'none') : `\`${key.default}\``;
  return key.systemDefault === undefined
    ? value
    : `${value}; with \`/etc/fleet/fleet.conf\` \`${key.systemDefault}\``;
}

function sectionsOf({ sections }: Key): string {
  return sections.map((section) => (section === 'ssh' ? '`[ssh]`' : '`[machine.*]`')).join(', ');
}

function optionCells([flags, description]: readonly [string, string]): readonly string[] {
  const { variable } = namesOfOption(flags);
  return [`\`${flags}\``, `\`${variable}\`${flags.includes('<') ? '' : ' (`true`)'}`, description];
}
