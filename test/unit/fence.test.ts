import { describe, expect, it } from 'vitest';
import { isFleetError } from '../../src/base/errors.ts';
import type { Fence } from '../../src/unit/fence.ts';
import { parsePlacement } from '../../src/unit/placement.ts';
import { parseUnitFile } from '../../src/unit/unit-file.ts';
import { parseUnitName } from '../../src/unit/unit-name.ts';

function fenceOf(lines: string, fleet = 'Fenced=true', name = 'web.service'): Fence | undefined {
  const text = `[Service]\nExecStart=/bin/true\n${lines}\n[X-Fleet]\n${fleet}\n`;
  return parsePlacement(parseUnitFile(text), parseUnitName(name)).fence;
}

describe('the stop of a fenced unit', () => {
  it.each<readonly [string, string, number, number]>([
    ['has ten seconds unless it says otherwise', '', 10_000, 10_000],
    ['has what TimeoutStopSec= says', 'TimeoutStopSec=1min 5s', 65_000, 65_000],
    ['has what TimeoutSec= says when that comes last', 'TimeoutStopSec=5\nTimeoutSec=7', 7000, 7000],
    ['has the time of every ExecStop= too', 'TimeoutStopSec=2\nExecStop=/bin/a\nExecStop=/bin/b', 2000, 6000],
    [
      'has that of ExecStopPost=, and of what follows it',
      'TimeoutStopSec=2\nExecStopPost=/bin/a',
      2000,
      6000,
    ],
    ['forgets what an empty assignment forgets', 'TimeoutStopSec=2\nExecStop=/bin/a\nExecStop=', 2000, 2000],
    ['ignores an empty timeout, as systemd does', 'TimeoutStopSec=2\nTimeoutStopSec=', 2000, 2000],
  ])('%s', (_, lines, timeoutMs, stopMs) => {
    expect(fenceOf(lines)).toEqual({ timeoutMs, stopMs });
  });

  it('is not checked in a unit that is not fenced', () => {
    expect(fenceOf('TimeoutStopSec=infinity', '')).toBeUndefined();
    expect(fenceOf('KillMode=none', 'Fenced=true\nFenced=no')).toBeUndefined();
  });
});

describe('a unit that cannot be fenced', () => {
  it.each<readonly [string, string, string, string, string]>([
    [
      'has no end',
      'TimeoutStopSec=infinity',
      'Fenced=yes',
      'web.service',
      'TimeoutStopSec="infinity" in line 3',
    ],
    ['has no end in systemd’s other spelling', 'TimeoutStopSec=0', 'Fenced=yes', 'web.service', '"0"'],
    ['takes too long', 'TimeoutStopSec=6min', 'Fenced=yes', 'web.service', '"6min"'],
    ['says what systemd does not read', 'TimeoutStopSec=soon', 'Fenced=yes', 'web.service', '"soon"'],
    ['leaves processes behind', 'KillMode=process', 'Fenced=yes', 'web.service', 'KillMode=process'],
    ['is global', '', 'Global=true\nFenced=yes', 'web.service', 'cannot be used with Global'],
    ['is no service', '', 'Fenced=yes', 'web.timer', 'is for services'],
    ['does not say so', '', 'Fenced=maybe', 'web.service', 'neither true nor false'],
  ])('%s', (_, lines, fleet, name, said) => {
    let error: unknown;
    try {
      fenceOf(lines, fleet, name);
    } catch (thrown) {
      error = thrown;
    }
    expect(isFleetError(error, 'placement') && error.message).toContain(said);
  });
});
