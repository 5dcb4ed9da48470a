import { describe, expect, it } from 'vitest';
import { parsePlacement } from '../../src/unit/placement.ts';
import { parseUnitFile } from '../../src/unit/unit-file.ts';
import { parseUnitName } from '../../src/unit/unit-name.ts';

function confirmOf(lines: string, name = 'sshd.service'): number | undefined {
  const file = parseUnitFile(`[Service]\nExecStart=/bin/true\n[X-Fleet]\n${lines}\n`);
  return parsePlacement(file, parseUnitName(name)).confirmMs;
}

describe('Confirm=', () => {
  it.each([
    ['', undefined],
    ['Confirm=30s', 30_000],
    ['Confirm=30', 30_000],
    ['Confirm=1min 30s', 90_000],
    ['Confirm=5s', 5000],
    ['Confirm=1h', 3_600_000],
    ['Confirm=30s\nConfirm=1min', 60_000],
    ['Confirm=30s\nConfirm=', undefined],
    ['Confirm=', undefined],
  ])('%j is %s', (lines, ms) => {
    expect(confirmOf(lines)).toBe(ms);
  });

  it.each(['yes', 'infinity', '0', '4s', '61min', '30x'])('%s is refused with the line', (value) => {
    expect(() => confirmOf(`Confirm=${value}`)).toThrow(
      /"sshd\.service", line 4: Confirm is not a time from 5s to 1h/,
    );
  });

  it.each(['HealthyFor=30s', 'HealthyWithin=1min\nHealthExec=/bin/true'])(
    '%s is too long for it',
    (lines) => {
      expect(() => confirmOf(`Confirm=30s\n${lines}`)).toThrow(
        /line 5: Healthy\w+ is not shorter than Confirm/,
      );
      expect(confirmOf(`Confirm=61s\n${lines}`)).toBe(61_000);
    },
  );

  it('needs a name that leaves room for the unit that reverts', () => {
    const name = (length: number): string => `${'a'.repeat(length - 8)}.service`;
    expect(confirmOf('Confirm=30s', name(230))).toBe(30_000);
    expect(() => confirmOf('Confirm=30s', name(231))).toThrow(/needs a name of at most 230 characters/);
    expect(`fleet-confirm@${name(230)}.service`.length).toBeLessThanOrEqual(255);
  });
});
