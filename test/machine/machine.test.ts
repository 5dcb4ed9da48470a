import { describe, expect, it } from 'vitest';
import {
  formatMachineId,
  formatMetadata,
  parseMachineId,
  parseMetadata,
  shortMachineId,
} from '../../src/machine/machine.ts';

const ID = '148a18ff6e954cd892dac9de9bb90d5a';

describe('parseMachineId', () => {
  it.each([
    ['as /etc/machine-id has it, with its line end', `${ID}\n`],
    ['as a UUID', '148a18ff-6e95-4cd8-92da-c9de9bb90d5a'],
    ['in capitals', ID.toUpperCase()],
  ])('reads an id %s', (_, text) => {
    expect(parseMachineId(text)).toBe(ID);
  });

  it.each([
    ['nothing', ''],
    ['a prefix', '148a18ff'],
    ['one digit too many', `${ID}0`],
    ['another letter', ID.replace('f', 'g')],
    ['a machine that is still to be set up', 'uninitialized'],
    ['two ids', `${ID}\n${ID}`],
  ])('refuses %s', (_, text) => {
    expect(parseMachineId(text)).toBeUndefined();
  });
});

it('formatMachineId writes a UUID that parseMachineId reads', () => {
  expect(formatMachineId(ID)).toBe('148a18ff-6e95-4cd8-92da-c9de9bb90d5a');
  expect(parseMachineId(formatMachineId(ID))).toBe(ID);
});

it("shortMachineId is the form of fleet's tables", () => {
  expect(shortMachineId(ID)).toBe('148a18ff...');
});

describe('parseMetadata', () => {
  it.each([
    ['nothing', '', {}],
    ['blanks and commas', ' , ,', {}],
    ['one pair', 'region=eu', { region: 'eu' }],
    ['several, with blanks around', ' region=eu , disk=ssd ', { region: 'eu', disk: 'ssd' }],
    ['a comma at the end', 'a=b,', { a: 'b' }],
    ['an equals sign in a value', 'a=b=c', { a: 'b=c' }],
    ['keys that differ in case', 'a=1,A=2', { a: '1', A: '2' }],
    ['an inherited name', 'constructor=x', { constructor: 'x' }],
  ])('reads %s', (_, text, metadata) => {
    expect(parseMetadata(text)).toEqual({ kind: 'metadata', metadata });
  });

  it('keeps a key that objects treat as special', () => {
    const result = parseMetadata('__proto__=x');
    expect(result.kind === 'metadata' && Object.entries(result.metadata)).toEqual([['__proto__', 'x']]);
    expect(parseMetadata('__proto__=x,__proto__=y').kind).toBe('malformed');
  });

  it.each([
    ['a word', 'a=b,ssd', 'ssd', 'key=value'],
    ['no key', '=b', '=b', 'key=value'],
    ['no value', 'a=', 'a=', 'key=value'],
    ['a blank in a value', 'a=b c', 'a=b c', 'key=value'],
    ['a blank around the equals sign', 'a = b', 'a = b', 'key=value'],
    ['a key twice', 'a=b,c=d,a=b', 'a=b', 'every key once'],
  ])('refuses %s', (_, text, pair, expected) => {
    expect(parseMetadata(text)).toEqual({ kind: 'malformed', pair, expected });
  });
});

describe('formatMetadata', () => {
  it.each([
    ['no metadata is a dash', {}, '-'],
    ['pairs are sorted by key', { region: 'eu', disk: 'ssd' }, 'disk=ssd,region=eu'],
  ])('%s', (_, metadata, text) => {
    expect(formatMetadata(metadata)).toBe(text);
  });

  it('is read back by parseMetadata', () => {
    const metadata = { b: '1=2', a: 'x;y', _c: '"' };
    expect(parseMetadata(formatMetadata(metadata))).toEqual({ kind: 'metadata', metadata });
  });
});
