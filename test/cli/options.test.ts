import { describe, expect, it } from 'vitest';
import { waitPolicyOf } from '../../src/cli/options.ts';
import { makeDesk, REFUSING } from './desk.ts';

const DAY_MS = 86_400_000;

describe('how long a verb waits', () => {
  it.each([
    ['nothing is said', { block: true }, true, undefined],
    ['a verb has no such option', {}, true, undefined],
    ['--no-block', { block: false }, false, undefined],
    ['--timeout 1m', { block: true, timeout: '1m' }, true, 60_000],
    ['--block-attempts 5', { block: true, blockAttempts: '5' }, true, 5000],
    ['--block-attempts 0 is until it is done', { block: true, blockAttempts: '0' }, true, DAY_MS],
    ['no timer is longer than a day', { block: true, blockAttempts: '999999999' }, true, DAY_MS],
  ])('%s', (_, options, blocks, timeoutMs) => {
    expect(waitPolicyOf(options)).toEqual({ blocks, timeoutMs });
  });

  it.each<readonly [readonly string[], string]>([
    [
      ['start', '--no-block', '--timeout', '5s', 'a'],
      'Error: Cannot use --no-block and --timeout together\nhint: Both set the time to wait: remove one of them\n',
    ],
    [
      ['stop', '--timeout', 'soon', 'a'],
      'Error: Cannot read --timeout: "soon" is not a duration from 100ms to 24h\nhint: Give one: --timeout 30s\n',
    ],
    [
      ['restart', '--timeout', '0s', 'a'],
      'Error: Cannot read --timeout: "0s" is not a duration from 100ms to 24h\nhint: Give one: --timeout 30s\n',
    ],
    [
      ['load', '--block-attempts', '-1', 'a'],
      'Error: Cannot read --block-attempts: "-1" is not a whole number\nhint: Give one: --block-attempts=10\n',
    ],
    [['unload', '--no-block', 'a'], "Error: unknown option '--no-block'\nhint: fleetctl help unload\n"],
  ])('refuses %j', async (words, err) => {
    expect(await (await makeDesk(REFUSING)).run(words)).toEqual({ status: 2, out: '', err });
  });
});
