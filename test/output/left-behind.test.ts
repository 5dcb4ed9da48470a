import { expect, it } from 'vitest';
import { leftBehindLines } from '../../src/output/machines.ts';

it.each([
  [true, 'rm -rf cluster units removed reload tmp registry voters)'],
  [false, 'rm -rf cluster units removed reload tmp)'],
])('the registry on a removed machine is among its files: %s', (wasStored, command) => {
  for (const units of [[], ['all.service']])
    expect(leftBehindLines('m1', units, wasStored).join('\n')).toContain(command);
});
