import { describe, expect, it } from 'vitest';
import { compareText } from '../src/base/text.ts';
import { COMMANDS } from '../src/cli/commands/all.ts';
import { EXIT } from '../src/cli/exit-status.ts';
import { CHECKS } from '../src/operations/checks.ts';
import type { ListingView } from '../src/output/field.ts';
import { HISTORY, MACHINES, UNIT_FILES, UNITS } from '../src/output/listings.ts';
import { CONSTRAINTS } from '../src/schedule/constraints.ts';
import { FLEET_OPTIONS } from '../src/unit/placement.ts';
import { rowsOf, topic, withSettings, wordsOf } from './support/manual.ts';

const LISTS: Readonly<Record<string, ListingView<never>>> = {
  'list-units': UNITS,
  'list-unit-files': UNIT_FILES,
  'list-machines': MACHINES,
  history: HISTORY,
};

describe('the manual', () => {
  it.each(COMMANDS.map(({ name }) => name))('has a row for the command %s', (name) => {
    expect(topic('commands')).toMatch(new RegExp(`^\\| .*\`${name}\\b.*\\|$`, 'm'));
  });

  it('has the tables of all settings; "npm run docs" writes them', async () => {
    await expect(withSettings(topic('config'))).toMatchFileSnapshot('../src/manual/config.md');
  });

  it('has exactly the exit statuses of the program', () => {
    const documented = rowsOf(topic('json'), '| status | meaning |').map(([status]) => Number(status));
    expect(documented).toEqual(Object.values(EXIT).toSorted((a, b) => a - b));
  });

  it('describes every field of the lists as the program does (`npm run docs` writes it)', async () => {
    let text = topic('lists');
    for (const [name, view] of Object.entries(LISTS)) {
      const names = view.fields.map(({ field }) => `\`${field}\``).join(', ');
      text = text.replace(new RegExp(`^\\| \`${name}\` \\|.*$`, 'm'), `| \`${name}\` | ${names} |`);
      const meanings = view.fields.flatMap(({ field, meaning }) =>
        meaning === undefined ? [] : `- \`${field}\` is ${meaning}.\n`,
      );
      text = text.replace(
        new RegExp(`^(## Fields of ${name}\n\n)(?:- .*\n)*`, 'm'),
        (_, title: string) => `${title}${meanings.join('')}`,
      );
      expect(text).toContain(meanings.join(''));
    }
    await expect(text).toMatchFileSnapshot('../src/manual/lists.md');
  });

  it('has every option of [X-Fleet], and no others', () => {
    const rows = rowsOf(topic('units'), '| option | meaning |');
    const options = rows.map(([option = '']) => option.replace(/`(\w+)=.*`/, '$1'));
    expect(options.toSorted(compareText)).toEqual([...FLEET_OPTIONS].sort(compareText));
  });

  it('names every rule of explain, and no others', () => {
    const named = [...topic('placement').matchAll(/^\d+\. `(\w+)`/gm)].map(([, rule]) => rule);
    expect(named).toEqual(CONSTRAINTS.map(({ rule }) => rule));
  });

  it('has every check of doctor', () => {
    const rows = rowsOf(topic('commands'), '| check | passes if |');
    expect(rows.flatMap(([checks = '']) => wordsOf(checks))).toEqual(CHECKS);
  });
});

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
    expect(option?.list).toEqual(view.fields.map(({ field }) => field));
    for (const { field } of view.fields) expect(option?.description).toContain(field);
  });
});
