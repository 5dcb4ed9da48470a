import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '../..');

/** The text of a topic of the manual. */
export const topic = (name: string): string => readFileSync(resolve(ROOT, `src/manual/${name}.md`), 'utf8');

/** The names of all topics, which are those of the files. */
export const TOPIC_FILES: readonly string[] = readdirSync(resolve(ROOT, 'src/manual'))
  .map((file) => file.replace(/\.md$/, ''))
  .sort();

/** The cells of the rows of the table of `text` that begins with `title`. */
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
