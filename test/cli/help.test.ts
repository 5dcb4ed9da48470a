import { describe, expect, it } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };
import { COMMANDS } from '../../src/cli/commands/all.ts';
import { GLOBAL_OPTIONS } from '../../src/config/settings.ts';
import { makeDesk } from './desk.ts';

const VERSION = `fleetctl version ${manifest.version}\n`;

/** Every command line that shows help. */
const LINES = ['--help', 'help help'].concat(
  COMMANDS.flatMap(({ name, subcommands = [] }) => [
    `help ${name}`,
    ...subcommands.flatMap((each) => [`help ${name} ${each.name}`, `${name} ${each.name} --help`]),
  ]),
);

/** Runs without a fleet.conf: none of this may need one. */
async function run(...words: readonly string[]) {
  return (await makeDesk()).run(words);
}

describe('help', () => {
  it('shows every command with its summary, and every global option', async () => {
    const { status, out, err } = await run('--help');
    expect([status, err]).toEqual([0, '']);
    for (const { name, summary } of COMMANDS) {
      expect(out.replaceAll(/\n {3,}/g, ' ')).toMatch(new RegExp(`^  ${name} +${literally(summary)}$`, 'm'));
    }
    for (const { flags } of GLOBAL_OPTIONS) expect(out).toContain(`  ${flags} `);
    expect(out).toContain('\nExamples:\n  $ fleetctl ');
    expect(out).not.toMatch(/[ \t]\n/);
    expect(out.match(/^\S.*:$/gm)).toEqual([
      ...[
        'Unit commands:',
        'Folder commands:',
        'Inspection commands:',
        'Machine commands:',
        'Cluster commands:',
      ],
      ...['Other commands:', 'Options:', 'Examples:'],
    ]);
  });

  it.each([['-h']])('is the same by %s', async (word) => {
    const { out } = await run('--help');
    expect(await run(word)).toEqual({ status: 0, out, err: '' });
  });

  it.each(COMMANDS.map((command) => [command.name, command] as const))(
    'of %s tells all about it',
    async (name, command) => {
      const { status, out, err } = await run('help', name);
      expect([status, err]).toEqual([0, '']);
      expect(out).toMatch(new RegExp(`^Usage: fleetctl ${name} `));
      expect(out).toContain(command.arguments);
      expect(out).toContain(`\n${command.summary}.\n`);
      for (const { flags } of command.options) expect(out).toContain(`  ${flags} `);
      expect(command.examples.length).toBeGreaterThan(0);
      const [, examples = ''] = out.split('\nExamples:\n');
      for (const [line, what] of command.examples) {
        expect(line).toMatch(new RegExp(`^fleetctl ${name}( |$)`));
        expect(examples).toMatch(shows(line, what));
      }
      // A topic of that name follows.
      for (const argument of ['--help', '-h'])
        expect(out.startsWith((await run(name, argument)).out)).toBe(true);
    },
  );

  it('names no option in an example that the command does not have', () => {
    // What follows the machine in "ssh MACHINE COMMAND" is not ours.
    for (const { examples, options, subcommands = [] } of COMMANDS.filter(
      (command) => !command.arguments.includes('[command'),
    )) {
      const own = [...options, ...subcommands.flatMap((each) => each.options)];
      const known = [...own.map(({ flags }) => flags), ...GLOBAL_OPTIONS.map(({ flags }) => flags)].join(' ');
      for (const [line] of examples) {
        for (const [option] of line.matchAll(/(?<= )--?[a-z][a-z-]*/g) ?? [])
          expect(known.split(/[ ,]+/)).toContain(option);
      }
    }
  });

  it.each(LINES)('fits on a terminal of 80 columns: %s', async (line) => {
    const desk = await makeDesk();
    const { out } = await desk.run(line.split(' '));
    expect(out.split('\n').filter((each) => each.length > 80)).toEqual([]);
    // Other widths change nothing but where lines end.
    for (const width of [60, 72, 200]) {
      const other = await desk.run(line.split(' '), { COLUMNS: String(width) });
      const [text = ''] = other.out.split('\nExamples:\n');
      expect(text.split('\n').filter((each) => each.length > width)).toEqual([]);
      expect(text.split(/\s+/)).toEqual(out.split('\nExamples:\n')[0]?.split(/\s+/));
    }
  });
});

/** An example: the command line, and its effect behind or above it. */
function shows(line: string, what: string): RegExp {
  const command = `  \\$ ${literally(line)}`;
  return new RegExp(`^(${command} +${literally(what)}|  # ${literally(what)}\n${command})$`, 'm');
}

/** The pattern of exactly this text. */
function literally(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

describe('the version', () => {
  it.each([['--version'], ['-V'], ['version']])('%s', async (word) => {
    expect(await run(word)).toEqual({ status: 0, out: VERSION, err: '' });
  });

  it('needs no configuration, and does not mind a broken one', async () => {
    const desk = await makeDesk('nonsense');
    expect(await desk.run(['version'])).toEqual({ status: 0, out: VERSION, err: '' });
  });
});
