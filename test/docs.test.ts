import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../src/cli/commands/all.ts';
import {
  LISTS,
  topic,
  withCommands,
  withFields,
  withFleetOptions,
  withRules,
  withSettings,
} from './support/manual.ts';

describe('the manual', () => {
  it.each([
    ['config', 'settings', withSettings],
    ['lists', 'fields of lists', withFields],
    ['commands', 'commands, and the checks of doctor', withCommands],
    ['units', 'options of [X-Fleet]', withFleetOptions],
    ['placement', 'rules', withRules],
  ])('has in %s the %s; "npm run docs" writes them', async (name, _, generated) => {
    await expect(generated(topic(name))).toMatchFileSnapshot(`../src/manual/${name}.md`);
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
