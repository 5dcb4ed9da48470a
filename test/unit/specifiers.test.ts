import { describe, expect, it } from 'vitest';
import { dependsOnInstance, expandSpecifiers, machineSpecifier } from '../../src/unit/specifiers.ts';
import { parseUnitName } from '../../src/unit/unit-name.ts';

describe('expandSpecifiers', () => {
  it.each([
    ['%n', 'web@1.service', 'web@1.service'],
    ['%N', 'web@1.service', 'web@1'],
    ['%p', 'web@1.service', 'web'],
    ['%i', 'web@1.service', '1'],
    ['%i', 'web@.service', ''],
    ['%i', 'web.service', ''],
    ['%p', 'a.b.socket', 'a.b'],
    ['%N', 'a.b.socket', 'a.b'],
    ['role=%i', 'web@db', 'role=db'],
    ['%p-%i %n', 'web@1', 'web-1 web@1.service'],
    ['100%%', 'web', '100%'],
    ['%%i', 'web@1', '%i'],
    ['%%%i', 'web@1', '%1'],
    ['%H %m %z', 'web@1', '%H %m %z'],
    ['%I', 'a@srv-data', 'srv/data'],
    ['%I', 'a@b\\x2dc\\xc3\\xbc', 'b-cü'],
    ['%I', 'a.service', ''],
    ['%P %p', 'mnt-a\\x2db.mount', 'mnt/a-b mnt-a\\x2db'],
    ['%j %J', 'app-web\\x2d1@x.service', 'web\\x2d1 web-1'],
    ['%j', 'web@1', 'web'],
    ['50%', 'web', '50%'],
    ['%i', 'a@b\\x2dc', 'b\\x2dc'],
    ['no specifier', 'web', 'no specifier'],
  ])('%j in %s → %j', (text, name, expected) => {
    expect(expandSpecifiers(text, parseUnitName(name))).toBe(expected);
  });

  it('does not expand what it has put in', () => {
    expect(
      expandSpecifiers('%i%i', { text: 'a@%n.service', type: 'service', prefix: 'a', instance: '%n' }),
    ).toBe('%n%n');
  });
});

describe('dependsOnInstance', () => {
  it.each([
    ['role=%i', true],
    ['%n', true],
    ['%N', true],
    ['%%%i', true],
    ['%I', true],
    ['%p', false],
    ['%j', false],
    ['%%i', false],
    ['%H', false],
    ['%', false],
    ['', false],
  ])('%j: %j', (text, expected) => {
    expect(dependsOnInstance(text)).toBe(expected);
  });
});

describe('machineSpecifier', () => {
  it.each([
    ['role=%H', '%H'],
    ['%i-%m', '%m'],
    ['%%H', undefined],
    ['%%%H', '%H'],
    ['%n %N %p %P %i %I %j %J %%', undefined],
    ['50%', undefined],
    ['50% of', undefined],
  ])('%j: %j', (text, expected) => {
    expect(machineSpecifier(text)).toBe(expected);
  });
});
