import { describe, expect, it } from 'vitest';
import type { Command } from '../../src/cli/command.ts';
import { COMMANDS } from '../../src/cli/commands/all.ts';
import { makeDesk, REFUSING } from './desk.ts';

/** The verbs whose pass a fleetd can run. */
const CHANGES = ['start', 'load', 'submit', 'restart', 'stop', 'unload', 'destroy', 'rollback'];
/** Those, the verbs that ask a fleetd, and those that ask nothing at all. */
const OTHERS = new Set([
  ...CHANGES,
  // They need more words.
  ...['apply', 'adopt'],
  ...['list-units', 'list-unit-files', 'list-machines', 'completion', 'version', 'help'],
]);

const VALUES: Readonly<Record<string, string>> = { '<key=value...>': 'user=core' };

/** A command line that each verb takes, up to the point at which it wants a configuration. */
function linesOf({ name, arguments: operands, subcommands }: Command, before = ''): readonly string[] {
  if (subcommands !== undefined) return subcommands.flatMap((each) => linesOf(each, `${name} `));
  const words = operands.match(/[<[][^\]>]+[\]>]/g) ?? [];
  const values = words.map((word) => VALUES[word] ?? 'm1');
  return [[`${before}${name}`, ...values].join(' ')];
}

const LINES = COMMANDS.filter(({ name }) => !OTHERS.has(name)).flatMap((command) => linesOf(command));

describe('a verb that works with its own registry and machines', () => {
  it.each(LINES)('%s is refused where a fleetd is named', async (line) => {
    const desk = await makeDesk(REFUSING);
    const words = line.split(' ');
    for (const [option, value, env] of [
      ['--tunnel', 'm1', {}],
      ['--endpoint', 'unix:///x.sock', {}],
      [undefined, 'm1', { FLEETCTL_TUNNEL: 'm1' }],
      [undefined, 'http://a:1', { FLEETCTL_ENDPOINT: 'http://a:1' }],
    ] as const) {
      const given = option === undefined ? [] : [option, value];
      const { status, out, err } = await desk.run([...given, ...words], env as Record<string, string>);
      const name = option ?? `environment variable "${Object.keys(env)[0]}"`;
      expect([status, out, err.split('\n')[0]]).toEqual([
        2,
        '',
        `Error: Cannot use ${name} with this command: it does not use "${value}"`,
      ]);
    }
  });

  it('takes --endpoint none, and an empty variable', async () => {
    const desk = await makeDesk(REFUSING);
    expect((await desk.run(['events', '--endpoint', 'none'], { FLEETCTL_TUNNEL: '' })).status).toBe(0);
  });

  it('says what to do', async () => {
    const { err } = await (await makeDesk(REFUSING)).run(['cat', 'hello', '--tunnel', 'm1']);
    expect(err).toBe(
      [
        'Error: Cannot use --tunnel with this command: it does not use "m1"',
        'hint: Only lists and commands that change units ask a fleetd; leave it out to use the registry and the machines of fleet.conf',
        '',
      ].join('\n'),
    );
  });
});

describe('a verb whose pass a fleetd can run', () => {
  it.each(CHANGES)('%s fails if the named one cannot', async (verb) => {
    const { status, out, err } = await (await makeDesk(REFUSING)).run([
      verb,
      'a',
      '--endpoint',
      'unix:///x.sock',
    ]);
    expect({ status, out, err: err.split('\n')[0] }).toEqual({
      status: 1,
      out: '',
      err: 'Error: Cannot use unix:///x.sock for this command: there is no such socket',
    });
  });

  it('is refused with --dry-run, which uses no fleetd', async () => {
    const { err } = await (await makeDesk(REFUSING)).run([
      'start',
      'a',
      '--dry-run',
      '--endpoint',
      'unix:///x.sock',
    ]);
    expect(err).toContain('Cannot use --endpoint with this command');
  });
});
