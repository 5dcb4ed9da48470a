import { describe, expect, it } from 'vitest';
import { dependsOnInstance, expandSpecifiers } from '../../src/unit/specifiers.ts';
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
    ['%H %m %I', 'web@1', '%H %m %I'],
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
    ['%p', false],
    ['%%i', false],
    ['%H', false],
    ['%', false],
    ['', false],
  ])('%j: %j', (text, expected) => {
    expect(dependsOnInstance(text)).toBe(expected);
  });
});
