import { describe, expect, it } from 'vitest';
import type { Command } from '../../src/cli/command.ts';
import { COMMANDS } from '../../src/cli/commands/all.ts';
import { makeDesk, REFUSING } from './desk.ts';

/** The verbs that ask a fleetd, and those that ask nothing at all. */
const OTHERS = new Set(['list-units', 'list-unit-files', 'list-machines', 'completion', 'version']);

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
    const { err } = await (await makeDesk(REFUSING)).run(['start', 'hello', '--tunnel', 'm1']);
    expect(err).toBe(
      [
        'Error: Cannot use --tunnel with this command: it does not use "m1"',
        'hint: Only list-units, list-unit-files and list-machines ask a fleetd; leave it out to use the registry and the machines of fleet.conf',
        '',
      ].join('\n'),
    );
  });
});
