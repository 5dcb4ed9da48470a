import { describe, expect, it } from 'vitest';
import { isFleetError } from '../../src/base/errors.ts';
import {
  isTemplate,
  isTemplateName,
  parseUnitName,
  templateOf,
  UNIT_TYPES,
  unitNameProblem,
} from '../../src/unit/unit-name.ts';
import { pickText, seeded } from '../support/random.ts';

describe('parseUnitName', () => {
  it.each([
    ['hello.service', 'hello.service', 'service', 'hello', undefined, 'a whole name'],
    ['hello', 'hello.service', 'service', 'hello', undefined, 'no suffix: a service'],
    ['foo.bogus', 'foo.bogus.service', 'service', 'foo.bogus', undefined, 'no known suffix: a service'],
    ['web.1', 'web.1.service', 'service', 'web.1', undefined, 'a dot alone makes no suffix'],
    ['foo.', 'foo..service', 'service', 'foo.', undefined, 'not even at the end'],
    ['service', 'service.service', 'service', 'service', undefined, 'a type without a dot is a name'],
    ['a.Service', 'a.Service.service', 'service', 'a.Service', undefined, 'types are lower case'],
    ['tick.timer', 'tick.timer', 'timer', 'tick', undefined, 'another type'],
    ['a.timer.socket', 'a.timer.socket', 'socket', 'a.timer', undefined, 'the last suffix counts'],
    ['web@1', 'web@1.service', 'service', 'web', '1', 'an instance'],
    ['web@1.2.socket', 'web@1.2.socket', 'socket', 'web', '1.2', 'an instance with a dot'],
    ['web@1.2', 'web@1.2.service', 'service', 'web', '1.2', 'an instance with a dot and no suffix'],
    ['web@', 'web@.service', 'service', 'web', '', 'a template'],
    ['a@b@c.path', 'a@b@c.path', 'path', 'a', 'b@c', 'the first @ parts'],
    ['foo\\x2dbar.mount', 'foo\\x2dbar.mount', 'mount', 'foo\\x2dbar', undefined, 'an escaped name'],
    ['-.slice', '-.slice', 'slice', '-', undefined, 'the root slice'],
    ['A:b_c-1.target', 'A:b_c-1.target', 'target', 'A:b_c-1', undefined, 'all the punctuation'],
  ])('%s → %s, %s, %s, %s: %s', (text, full, type, prefix, instance, _) => {
    expect(parseUnitName(text)).toEqual({ text: full, type, prefix, instance });
  });

  it.each([
    ['', 'it is empty'],
    ['bad name.service', 'it must not contain " "'],
    ['foo$.service', 'it must not contain "$"'],
    ['foo*', 'it must not contain "*"'],
    ['grün.service', 'it must not contain "ü"'],
    ['💡.service', 'it must not contain "💡"'],
    ['a\nb', 'it must not contain "\\n"'],
    ['a\x1b[2J', 'it must not contain "\\u001b"'],
    ['a.service\n', 'it must not contain "\\n"'],
    ['units/hello.service', 'it must not contain "/"'],
    ['.service', 'the part before the suffix is empty'],
    ['.hidden.service', 'it must not start with "."'],
    ['@1.service', 'it must not start with "@"'],
    ['@', 'it must not start with "@"'],
    ['fleet.target', 'the name is reserved for a unit of fleet'],
    ['fleet-lease', 'the name is reserved for a unit of fleet'],
    ['fleet-lease.timer', 'the name is reserved for a unit of fleet'],
    ['sda.device', 'systemd creates device units itself, without a unit file'],
    ['session-1.scope', 'systemd creates scope units itself, without a unit file'],
  ])('refuses %j: %s', (text, problem) => {
    expect(unitNameProblem(text)).toBe(problem);
    expect(() => parseUnitName(text)).toThrow(problem);
  });

  it('says what was attempted, and what to do', () => {
    try {
      parseUnitName('units/hello.service');
      expect.unreachable();
    } catch (error) {
      if (!isFleetError(error, 'unit-name')) throw error;
      expect(error.message).toBe('Cannot use "units/hello.service" as a unit name: it must not contain "/"');
      expect(error.hint).toMatch(/without a folder/);
    }
  });

  it('counts the suffix in the length', () => {
    expect(parseUnitName('x'.repeat(247)).text.length).toBe(255);
    expect(unitNameProblem('x'.repeat(248))).toBe('it has 256 characters, and the limit of systemd is 255');
    expect(unitNameProblem(`${'x'.repeat(248)}.service`)).toBeDefined();
    expect(() => parseUnitName('x'.repeat(1_000_000))).toThrow(/^.{80,300}$/);
  });

  it('reads its own result the same, whatever it was given', () => {
    let read = 0;
    for (let seed = 0; seed < 5000; seed++) {
      const text = pickText(
        seeded(seed),
        ['a', 'B', '1', '.', '@', '-', '\\x2d', ':', '_', '.socket', '.service', '/', '%'],
        8,
      );
      if (unitNameProblem(text) !== undefined) continue;
      read++;
      const name = parseUnitName(text);
      const instance = name.instance === undefined ? '' : `@${name.instance}`;
      expect(parseUnitName(name.text)).toEqual(name);
      expect(`${name.prefix}${instance}.${name.type}`).toBe(name.text);
      expect(UNIT_TYPES).toContain(name.type);
    }
    expect(read).toBeGreaterThan(1000);
  });
});

describe('templates', () => {
  it.each([
    ['hello@.service', true, undefined],
    ['hello@1.service', false, 'hello@.service'],
    ['hello@1.timer', false, 'hello@.timer'],
    ['a@b@c', false, 'a@.service'],
    ['hello.service', false, undefined],
  ])('%s: template %j, made from %s', (text, template, from) => {
    const name = parseUnitName(text);
    expect([isTemplate(name), isTemplateName(name.text)]).toEqual([template, template]);
    expect(templateOf(name)).toEqual(from === undefined ? undefined : parseUnitName(from));
  });
});
