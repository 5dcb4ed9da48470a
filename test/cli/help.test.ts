import { describe, expect, it } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };
import { COMMANDS, GLOBAL_OPTIONS } from '../../src/cli/program.ts';
import { makeDesk } from './desk.ts';

const VERSION = `fleetctl version ${manifest.version}\n`;

/** Runs without a fleet.conf: none of this may need one. */
async function run(...words: readonly string[]) {
  return (await makeDesk()).run(words);
}

describe('help', () => {
  it('shows every command with its summary, and every global option', async () => {
    const { status, out, err } = await run('--help');
    expect([status, err]).toEqual([0, '']);
    for (const { name, summary } of COMMANDS) {
      const line = out.split('\n').find((candidate) => candidate.startsWith(`  ${name} `));
      expect(line).toContain(summary);
    }
    for (const [flags] of GLOBAL_OPTIONS) expect(out).toContain(`  ${flags} `);
    expect(out).toContain('\nExamples:\n  $ fleetctl ');
    expect(out).not.toMatch(/[ \t]\n/);
  });

  it.each([['-h'], ['help']])('is the same by %s', async (word) => {
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
        expect(examples.split('\n')).toContainEqual(expect.stringMatching(shows(line, what)));
      }
      for (const argument of ['--help', '-h'])
        expect(await run(name, argument)).toEqual({ status, out, err });
    },
  );

  it('names no option in an example that the command does not have', () => {
    // What follows the machine in "ssh MACHINE COMMAND" is not ours.
    for (const { examples, options, subcommands = [] } of COMMANDS.filter(
      (command) => !command.arguments.includes('[command'),
    )) {
      const own = [...options, ...subcommands.flatMap((each) => each.options)];
      const known = [...own.map(({ flags }) => flags), ...GLOBAL_OPTIONS.map(([flags]) => flags)].join(' ');
      for (const [line] of examples) {
        for (const [option] of line.matchAll(/(?<= )--?[a-z][a-z-]*/g) ?? [])
          expect(known.split(/[ ,]+/)).toContain(option);
      }
    }
  });

  it('fits on a terminal of 80 columns, apart from examples', async () => {
    const within = COMMANDS.flatMap(({ name, subcommands = [] }) =>
      subcommands.map((each) => [name, each.name, '--help']),
    );
    for (const words of [...COMMANDS.map(({ name }) => ['help', name]), ...within]) {
      const [text = ''] = (await run(...words)).out.split('\nExamples:\n');
      expect(text.split('\n').filter((line) => line.length > 80)).toEqual([]);
    }
  });
});

/** An example line: the command line, and what it does somewhere behind it. */
function shows(line: string, what: string): RegExp {
  const literally = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^  \\$ ${literally(line)} +${literally(what)}$`);
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
