import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from '../../src/cli/command.ts';
import { COMMANDS } from '../../src/cli/commands/all.ts';
import { EXIT, EXIT_MEANINGS } from '../../src/cli/exit-status.ts';
import { type Key, keysOf, namesOfOption, SETTINGS } from '../../src/config/settings.ts';
import { DOCUMENTED_CHECKS } from '../../src/operations/checks.ts';
import { fieldSentences, type ListingView } from '../../src/output/field.ts';
import { HISTORY, MACHINES, UNIT_FILES, UNITS } from '../../src/output/listings.ts';
import { CONSTRAINTS } from '../../src/schedule/constraints.ts';
import { FLEET_OPTIONS } from '../../src/unit/placement.ts';

export const ROOT = resolve(import.meta.dirname, '../..');

/** The text of a topic of the manual. */
export const topic = (name: string): string => readFileSync(resolve(ROOT, `src/manual/${name}.md`), 'utf8');

/** The names of all topics, which are the file names. */
export const TOPIC_FILES: readonly string[] = readdirSync(resolve(ROOT, 'src/manual'))
  .map((file) => file.replace(/\.md$/, ''))
  .sort();

type Rows = readonly (readonly string[])[];

/** The text with these rows in the table that begins with `title`. */
function withTable(text: string, title: string, rows: Rows): string {
  const start = text.indexOf(title);
  if (start < 0) throw new Error(`there is no table ${title}`);
  const cells = rows.map((row) => row.map((cell) => cell.replaceAll('|', '\\|')).join(' | '));
  const lines = [title, title.replace(/[^|]+/g, '---'), ...cells.map((row) => `| ${row} |`)];
  const [table = ''] = text.slice(start).split(/\n(?:\n|$)/);
  return text.slice(0, start) + lines.join('\n') + text.slice(start + table.length);
}

/** The topic `config` with the tables that are made from the settings. */
export function withSettings(text: string): string {
  const each = [...new Set([...keysOf('machine'), ...keysOf('ssh')].map(({ name }) => name))];
  const connecting = each.map((name) =>
    [...keysOf('machine'), ...keysOf('ssh')].find((key) => key.name === name),
  );
  const tables: readonly (readonly [title: string, rows: Rows])[] = [
    [
      '| key | default | meaning |',
      keysOf('top').map((key) => [`\`${key.name}\``, defaultOf(key), key.manual]),
    ],
    [
      '| key | section | default | meaning |',
      connecting.flatMap((key) =>
        key === undefined ? [] : [[`\`${key.name}\``, sectionsOf(key), defaultOf(key), key.manual]],
      ),
    ],
    [
      '| option | variable | meaning |',
      SETTINGS.flatMap((row) => ('option' in row ? [optionCells(row.option)] : [])),
    ],
  ];
  return tables.reduce((before, [title, rows]) => withTable(before, title, rows), text);
}

/** The topic `lists` with the fields of each list. */
export function withFields(text: string): string {
  return Object.entries(LISTS).reduce((before, [name, { fields }]) => {
    const names = fields.map(({ field }) => `\`${field}\``).join(', ');
    const meanings = fields.flatMap(({ field, meaning }) =>
      meaning === undefined ? [] : [`- \`${field}\` is ${meaning}.\n`],
    );
    return before
      .replace(new RegExp(`^\\| \`${name}\` \\|.*$`, 'm'), `| \`${name}\` | ${names} |`)
      .replace(
        new RegExp(`^(## Fields of ${name}\n\n)(?:- .*\n)*`, 'm'),
        (_, title: string) => `${title}${meanings.join('')}`,
      );
  }, text);
}

export const LISTS: Readonly<Record<string, ListingView<never>>> = {
  'list-units': UNITS,
  'list-unit-files': UNIT_FILES,
  'list-machines': MACHINES,
  history: HISTORY,
};

/** The topic `commands` with all commands, and the checks of `doctor`. */
export function withCommands(text: string): string {
  const commands = COMMANDS.flatMap((command) => [
    commandCells(command, ''),
    ...(command.subcommands ?? []).map((each) => commandCells(each, `${command.name} `)),
  ]);
  const checks = Object.entries(DOCUMENTED_CHECKS).map(([name, { manual }]) => [`\`${name}\``, manual]);
  return withTable(withTable(text, '| command | effect |', commands), '| check | passes if |', checks);
}

function commandCells({ name, arguments: operands, summary, description, topic }: Command, group: string) {
  // The topic `lists` has the fields.
  const fields = LISTS[name] === undefined ? '' : fieldSentences(LISTS[name]);
  const more = topic === undefined ? '' : `See [${topic}](${topic}.md).`;
  const effect = [`**${summary}.**`, description.replace(fields, '').trim(), more];
  return [`\`${`${group}${name} ${operands}`.trim()}\``, effect.filter((part) => part !== '').join(' ')];
}

/** The topic `units` with the options of [X-Fleet]. */
export function withFleetOptions(text: string): string {
  const rows = FLEET_OPTIONS.map(({ name, manual: [value, meaning] }) => [`\`${name}=${value}\``, meaning]);
  return withTable(text, '| option | meaning |', rows);
}

/** The topic `json` with the exit statuses. */
export function withExitStatuses(text: string): string {
  const statuses = Object.entries(EXIT) as readonly (readonly [keyof typeof EXIT, number])[];
  const rows = statuses.map(([name, status]) => [String(status), EXIT_MEANINGS[name]]);
  return withTable(text, '| status | meaning |', rows);
}

/** The topic `placement` with the rules. */
export function withRules(text: string): string {
  const rules: readonly Pick<(typeof CONSTRAINTS)[number], 'rule' | 'manual'>[] = CONSTRAINTS;
  const items = rules.map(
    ({ rule, manual }, index) => `${index + 1}. \`${rule}\`${manual === undefined ? '' : `: ${manual}`}\n`,
  );
  return text.replace(/(?:^\d+\. `\w+`.*\n)+/m, () => items.join(''));
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
