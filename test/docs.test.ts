import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { compareText } from '../src/base/compare.ts';
import { namesOf } from '../src/cli/completion/command-line.ts';
import { EXIT } from '../src/cli/exit-status.ts';
import { COMMANDS, GLOBAL_OPTIONS } from '../src/cli/program.ts';
import { sectionSchemas } from '../src/config/schema.ts';
import { HISTORY } from '../src/output/history.ts';
import { type ListingView, MACHINES, UNIT_FILES, UNITS } from '../src/output/listings.ts';

const LISTS: Readonly<Record<string, ListingView<never>>> = {
  'list-units': UNITS,
  'list-unit-files': UNIT_FILES,
  'list-machines': MACHINES,
  history: HISTORY,
};
const schemas = sectionSchemas({ directory: '/', home: '/' });
/** How the table of keys calls them. */
const SECTIONS: Readonly<Record<string, string>> = { top: '(top)', ssh: '`[ssh]`', machine: '`[machine.*]`' };
const README = readFileSync(resolve(import.meta.dirname, '../README.md'), 'utf8');

describe('the README', () => {
  it.each(COMMANDS.map(({ name }) => name))('has a row for the command %s', (name) => {
    expect(README).toMatch(new RegExp(`^\\| .*\`${name}\\b.*\\|$`, 'm'));
  });

  it.each(GLOBAL_OPTIONS.map(([flags]) => /--[\w-]+/.exec(flags)?.[0] ?? ''))(
    'names the option %s and its variable',
    (flag) => {
      const variable = `FLEETCTL_${flag.slice(2).toUpperCase().replaceAll('-', '_')}`;
      expect(README).toContain(`\`${flag}\``);
      expect(README).toContain(`\`${variable}\``);
    },
  );

  it('has exactly the exit statuses of the program', () => {
    const table = README.slice(README.indexOf('| status | meaning |')).split('\n\n')[0] ?? '';
    const documented = [...table.matchAll(/^\| (\d+) \|/gm)].map(([, status]) => Number(status));
    expect(documented).toEqual(Object.values(EXIT).toSorted((a, b) => a - b));
  });

  it('says which key of fleet.conf is which, and no others', () => {
    const table = README.slice(README.indexOf('| section | key |')).split('\n\n')[0] ?? '';
    const documented = [...table.matchAll(/^\| .+? \| `(\w+)` \|/gm)].map(([, key]) => key);
    expect([...new Set(documented)].map(String).toSorted(compareText)).toEqual(
      Object.values(schemas)
        .flatMap(({ shape }) => Object.keys(shape))
        .filter((key, index, all) => all.indexOf(key) === index)
        .toSorted(compareText),
    );
  });

  it.each(Object.entries(schemas))(
    'says that [%s] may have its keys, and no others',
    (section, { shape }) => {
      const rows = rowsOf('| section | key |').filter(([sections = '']) =>
        sections.includes(SECTIONS[section] ?? '?'),
      );
      const keys = rows.map(([, key = '']) => key.replaceAll('`', ''));
      expect(keys.toSorted(compareText)).toEqual(Object.keys(shape).toSorted(compareText));
    },
  );

  it.each(COMMANDS.map((command) => [command.name, command] as const))(
    'has every option of %s, and no others',
    (name, command) => {
      const documented = rowsOf('| option | of |')
        .filter(([, of = '']) => of.startsWith('all but') !== wordsOf(of).includes(name))
        .flatMap(([flags = '']) => wordsOf(flags));
      const all = [command, ...(command.subcommands ?? [])].flatMap(({ options }) => options);
      const known = [...new Set(all.flatMap((option) => namesOf(option)))];
      expect(documented.toSorted(compareText)).toEqual(known.toSorted(compareText));
    },
  );

  it.each(Object.entries(LISTS))('has every field of %s, and no others', (name, view) => {
    const row = rowsOf('| fields of |').find(([of]) => of === `\`${name}\``);
    expect(wordsOf(row?.[1] ?? '')).toEqual(view.columns.map(({ field }) => field));
  });
});

/** The cells of the rows of the table that begins so. */
function rowsOf(title: string): readonly (readonly string[])[] {
  const table = README.slice(README.indexOf(title)).split('\n\n')[0] ?? '';
  const lines = table.split('\n').slice(2);
  return lines.map((line) => line.slice(2, -2).split(' | '));
}

/** What stands in backticks. */
function wordsOf(cell: string): readonly string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word);
}

describe('help', () => {
  it.each(COMMANDS.map((command) => [command.name, command] as const))(
    'of %s has examples that name it',
    (name, command) => {
      expect(command.examples.length).toBeGreaterThan(0);
      for (const [line] of command.examples) expect(line).toContain(`fleetctl ${name}`);
    },
  );

  it.each(Object.entries(LISTS))('of %s names every field', (name, view) => {
    const command = COMMANDS.find((candidate) => candidate.name === name);
    const option = command?.options.find(({ flags }) => flags.startsWith('--fields'));
    const fields = view.columns.map(({ field }) => field);
    // `target` is the same column as `tmachine`, and stands in brackets beside it.
    expect(option?.list).toEqual(fields.filter((field) => field !== 'target'));
    for (const field of fields) expect(option?.description).toContain(field);
  });
});
