import { compare } from './compare.js';
import { ratio } from './report.js';

const NODE = { name: 'node -e 0', command: () => ['node', '-e', '0'] };

/** What a command costs before it does anything. */
export async function startUp({ fleet }, rounds) {
  const complete = (name, words, expected) => ({
    name,
    command: () => [fleet.program, '__complete', '--', '--config', fleet.conf(), ...words],
    isRight: (stdout) => stdout.includes(expected),
  });
  const candidates = [
    { name: 'fleetctl --version', command: () => [fleet.program, '--version'] },
    { name: 'fleetctl help', command: () => [fleet.program, 'help'] },
    complete('TAB of a verb', ['list-u'], 'list-units'),
    complete('TAB of a unit', ['status', 'everywh'], 'everywhere@1.service'),
    NODE,
  ];
  const results = await compare(candidates, rounds);
  const budgets = [1.4, 1.8, 2, 2.5];
  return {
    title: 'Starting up',
    results,
    checks: budgets.map((budget, index) => ratio(results, candidates[index].name, NODE.name, budget)),
  };
}
