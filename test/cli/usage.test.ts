import { describe, expect, it } from 'vitest';
import type { ListingView } from '../../src/output/field.ts';
import { UNIT_FILES, UNITS } from '../../src/output/listings.ts';
import { makeDesk, REFUSING } from './desk.ts';

describe('a command line that is wrong', () => {
  it.each<readonly [readonly string[], string]>([
    [['strat', 'a'], "Error: unknown command 'strat'\n(Did you mean start?)\nhint: fleetctl --help\n"],
    [
      ['list-unit'],
      "Error: unknown command 'list-unit'\n(Did you mean list-units?)\nhint: fleetctl --help\n",
    ],
    [
      ['show', '-n', '3', 'a'],
      "Error: unknown command 'show'\n(Did you mean one of status, cat?)\nhint: fleetctl --help\n",
    ],
    [
      ['help', 'strat'],
      "Error: unknown command or topic 'strat'\n(Did you mean start?)\nhint: fleetctl help\n",
    ],
    [['strat', '--help'], "Error: unknown command 'strat'\n(Did you mean start?)\nhint: fleetctl --help\n"],
    [
      ['help', 'json', 'start'],
      "Error: nothing may follow the topic 'json': 'start'\nhint: fleetctl help json\n",
    ],
    [
      ['-q', 'help', 'strat'],
      "Error: unknown command or topic 'strat'\n(Did you mean start?)\nhint: fleetctl help\n",
    ],
    [['help', '--bogus'], "Error: unknown option '--bogus'\nhint: fleetctl help help\n"],
    [['help', 'frobnicate'], "Error: unknown command or topic 'frobnicate'\nhint: fleetctl help\n"],
    [['help', 'start', 'a'], "Error: unknown command 'a' of 'start'\nhint: fleetctl help start\n"],
    [
      ['edit', 'a'],
      "Error: unknown command 'edit'\n(Did you mean start --replace?)\nhint: fleetctl --help\n",
    ],
    ...[
      ['machines', 'rm', 'm1'],
      ['machines', 'rm', '--help'],
      ['help', 'machines', 'rm'],
    ].map((words): readonly [readonly string[], string] => [
      words,
      "Error: unknown command 'rm' of 'machines'. Commands: add, set, rename, apply, remove, accept, distrust.\n(Did you mean remove?)\nhint: fleetctl help machines\n",
    ]),
    [
      ['machines'],
      "Error: missing command of 'machines'. Commands: add, set, rename, apply, remove, accept, distrust.\nhint: fleetctl help machines\n",
    ],
    [
      ['machines', 'help'],
      "Error: unknown command 'help' of 'machines'. Commands: add, set, rename, apply, remove, accept, distrust.\nhint: fleetctl help machines\n",
    ],
    [['machines', '--bogus'], "Error: unknown option '--bogus'\nhint: fleetctl help machines\n"],
    [
      ['controller', 'start'],
      "Error: unknown command 'start' of 'controller'. Commands: install, remove.\nhint: fleetctl help controller\n",
    ],
    [['registry', 'copy'], "Error: missing required argument 'from'\nhint: fleetctl help registry copy\n"],
    [
      ['registry', 'move', 'file:a', 'file:b'],
      "Error: unknown command 'move' of 'registry'. Commands: copy.\nhint: fleetctl help registry\n",
    ],
    [
      ['completion', 'bsh'],
      'Error: Cannot complete in shell "bsh": there is no script for it\nhint: Did you mean "bash"? Shells: bash, zsh, fish\n',
    ],
    [['frobnicate'], "Error: unknown command 'frobnicate'\nhint: fleetctl --help\n"],
    [['start'], "Error: missing required argument 'unit'\nhint: fleetctl help start\n"],
    [['cat'], "Error: missing required argument 'unit'\nhint: fleetctl help cat\n"],
    [
      ['cat', 'a', 'b'],
      "Error: too many arguments for 'cat'. Expected 1 argument but got 2.\nhint: fleetctl help cat\n",
    ],
    [
      ['list-units', 'a'],
      "Error: too many arguments for 'list-units'. Expected 0 arguments but got 1.\nhint: fleetctl help list-units\n",
    ],
    [['list-units', '--bogus'], "Error: unknown option '--bogus'\nhint: fleetctl help list-units\n"],
    [
      ['list-units', '--no-legnd'],
      "Error: unknown option '--no-legnd'\n(Did you mean --no-legend?)\nhint: fleetctl help list-units\n",
    ],
    [['--bogus', 'list-units'], "Error: unknown option '--bogus'\nhint: fleetctl --help\n"],
    [
      ['list-units', '-o', 'yaml'],
      "Error: option '-o, --output <format>' argument 'yaml' is invalid. Allowed choices are table, json.\nhint: fleetctl help list-units\n",
    ],
    [
      ['list-units', '--fields'],
      "Error: option '--fields <fields>' argument missing\nhint: fleetctl help list-units\n",
    ],
    [
      ['list-units', '--config'],
      "Error: option '--config <file>' argument missing\nhint: fleetctl help list-units\n",
    ],
  ])('%j', async (words, err) => {
    const desk = await makeDesk(REFUSING);
    expect(await desk.run(words)).toEqual({ status: 2, out: '', err });
  });

  it('without a command shows help, on standard error', async () => {
    const { status, out, err } = await (await makeDesk()).run([]);
    expect([status, out]).toEqual([2, '']);
    expect(err).toMatch(/^Usage: fleetctl \[options\] \[command\]/);
  });
});

const namesOf = ({ fields }: ListingView<never>): string => fields.map(({ field }) => field).join(', ');

describe('--fields', () => {
  it.each<readonly [readonly string[], string]>([
    [
      ['list-units', '--fields', 'unit,machin'],
      `Error: No such field: "machin"\nhint: Did you mean "machine"? Fields: ${namesOf(UNITS)}\n`,
    ],
    [
      ['list-unit-files', '--fields=bogus'],
      `Error: No such field: "bogus"\nhint: Fields: ${namesOf(UNIT_FILES)}\n`,
    ],
    [
      ['list-machines', '--fields', 'ip,'],
      'Error: Cannot read --fields: "ip," has an empty name\nhint: Separate names with commas: --fields unit,machine\n',
    ],
    [
      ['list-machines', '--fields='],
      'Error: Cannot read --fields: "" has an empty name\nhint: Separate names with commas: --fields unit,machine\n',
    ],
  ])('%j is refused before anything is asked', async (words, err) => {
    // Without a fleet.conf: that it is missing would be said otherwise.
    expect(await (await makeDesk()).run(words)).toEqual({ status: 2, out: '', err });
  });

  it('takes blanks around names', async () => {
    const desk = await makeDesk(REFUSING);
    const { status, out } = await desk.run(['list-machines', '--fields', ' name , ip ']);
    expect([status, out]).toEqual([0, 'NAME  IP\nm1    127.0.0.1:1\n']);
  });
});

describe('the configuration', () => {
  it('is missing', async () => {
    const { status, out, err } = await (await makeDesk()).run(['list-machines']);
    expect([status, out]).toEqual([2, '']);
    expect(err).toMatch(/No configuration found, looked for "fleet.conf"/);
    expect(err).toMatch(
      /\nhint: Name a file with --config or FLEETCTL_CONFIG, or write a fleet.conf such as:\n\[machine\./,
    );
  });

  it('that was named is missing', async () => {
    const { status, err } = await (await makeDesk(REFUSING)).run(['--config', 'other.conf', 'list-machines']);
    expect([status, err.split('\n')[0]]).toEqual([
      2,
      expect.stringMatching(/cannot read the configuration "other.conf": no such file$/i),
    ]);
  });

  it('has an unknown key', async () => {
    const { status, out, err } = await (await makeDesk(`agent_tll = 3s\n${REFUSING}`)).run(['list-units']);
    expect([status, out]).toEqual([2, '']);
    expect(err).toMatch(/agent_tll/);
  });

  it.each<readonly [string, readonly string[], Readonly<Record<string, string>>]>([
    ['a flag before the command', ['--config', 'other.conf', 'list-machines'], {}],
    ['a flag after it', ['list-machines', '--config', 'other.conf'], {}],
    ['the environment', ['list-machines'], { FLEETCTL_CONFIG: 'other.conf' }],
    [
      'a flag against the environment',
      ['list-machines', '--config=other.conf'],
      { FLEETCTL_CONFIG: 'fleet.conf' },
    ],
  ])('is chosen by %s', async (_, words, env) => {
    const desk = await makeDesk(REFUSING);
    await desk.write('other.conf', REFUSING.replace('m1', 'other'));
    const { out } = await desk.run([...words, '--fields', 'name', '--no-legend'], env);
    expect(out).toBe('other\n');
  });
});
