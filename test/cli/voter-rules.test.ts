import { expect, it } from 'vitest';
import { proposedVoters, refuseOtherVoters } from '../../src/cli/voter-rules.ts';

const PROPOSED = [
  { name: 'a', address: '10.0.0.1', metadata: {} },
  { name: 'b', address: '10.0.0.2', metadata: {} },
];
const place = (name: string, address: string) => ({ name, address });

it('nothing hides a registry if fleet.conf has all voters that machines name, also by other names', () => {
  const voters = new Map([
    ['a', [place('a', '10.0.0.1'), place('x', '10.0.0.2')]],
    ['b', []],
  ]);
  expect(() => refuseOtherVoters(voters, PROPOSED)).not.toThrow();
  expect(() => refuseOtherVoters(new Map(), PROPOSED)).not.toThrow();
});

it('the voters that machines name have the names of fleet.conf', () => {
  const voters = new Map([
    ['a', [place('x', '10.0.0.2'), place('y', '10.0.0.3')]],
    ['b', []],
  ]);
  expect(proposedVoters(voters, PROPOSED)).toEqual(['b']);
});

it('the registry may be on voters that fleet.conf lacks, also if it has some of them', () => {
  const voters = new Map([
    ['a', [place('b', '10.0.0.2'), place('x', '10.0.0.3')]],
    ['b', [place('b', '10.0.0.2'), place('x', '10.0.0.3'), place('b', '10.0.0.4')]],
    ['c', []],
  ]);
  expect(() => refuseOtherVoters(voters, PROPOSED)).toThrow(
    expect.objectContaining({
      code: 'registry-no-majority',
      message:
        'Cannot find the registry: no machine of fleet.conf has it, but these name voters that fleet.conf lacks: a, b. The voters: x (10.0.0.3), b (10.0.0.4)',
      hint: expect.stringMatching(
        /join --config FILE USER@10\.0\.0\.3".*rm \/var\/lib\/fleet\/voters" as root on a, b,/,
      ),
    }),
  );
});
