import { describe, expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import { listRepeatedly, watchInterval } from '../../src/cli/watch.ts';

const OVER = new Error('over');

/** Looks at what `answers` give, one after the other, until there are no more. */
async function watch(answers: readonly (string | Error)[]): Promise<readonly string[]> {
  const log: string[] = [];
  let next = 0;
  const look = async () => {
    const answer = answers[next++];
    if (answer instanceof Error) throw answer;
    return { rows: [answer], unreachable: [], unreadable: [] };
  };
  const viewer = {
    seen: async ({ rows }: { rows: readonly unknown[] }) => void log.push(`saw ${rows}`),
    failed: ({ message }: FleetError) => void log.push(`failed: ${message}`),
    end: () => undefined,
  };
  const pause = async () => {
    log.push('pause');
    if (next >= answers.length) throw OVER;
  };
  const end = await listRepeatedly(look, viewer, pause).catch((error: unknown) => error);
  return end === OVER ? log : [...log, String(end)];
}

describe('a watch', () => {
  it('waits after every poll, and continues after a failed one', async () => {
    expect(await watch(['a', new FleetError('registry-locked', 'locked'), 'b'])).toEqual([
      ...['saw a', 'pause'],
      ...['failed: locked', 'pause'],
      ...['saw b', 'pause'],
    ]);
  });

  it('ends with an error that is none of ours', async () => {
    expect(await watch(['a', new TypeError('a bug'), 'b'])).toEqual(['saw a', 'pause', 'TypeError: a bug']);
  });
});

describe('--interval', () => {
  it.each([
    [{ watch: true }, 2000],
    [{ watch: true, interval: '500ms' }, 500],
    [{ watch: true, interval: '1h' }, 3_600_000],
  ])('%j', (options, ms) => {
    expect(watchInterval({ options })).toBe(ms);
  });

  it('is refused without --watch', () => {
    expect(() => watchInterval({ options: { interval: '1s' } })).toThrow(
      'Cannot use --interval without --watch',
    );
  });

  it.each(['', '5', '0s', '99ms', '2h', '-1s', 'soon'])('"%s" is refused', (interval) => {
    expect(() => watchInterval({ options: { watch: true, interval } })).toThrow(
      `Cannot read --interval: "${interval}" is not a duration from 100ms to 1h`,
    );
  });
});
