import { describe, expect, it } from 'vitest';
import { formatMachineId, parseMachineId, shortMachineId } from '../../src/machine/machine-id.ts';

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
