import { compare } from './compare.js';
import { SLEEPER } from './fleet.js';
import { ratio } from './report.js';
import { run } from './run.js';

const UNITS = 5_000;

/** Commands that need one unit, on a registry with thousands beside one with a single unit. */
export async function largeRegistry({ fleet }, rounds) {
  const names = Array.from({ length: UNITS }, (_, index) => `stored-${index + 1}.service`);
  const files = names.map((name) => fleet.writeUnit(name, SLEEPER));
  const large = { registry: 'file:large' };
  const empty = { registry: 'file:empty' };
  await run(fleet.commandWith(large, 'submit', ...files));
  await run(fleet.commandWith(empty, 'submit', files[0]));
  const verbs = [
    ['cat', (settings) => fleet.commandWith(settings, 'cat', names[0])],
    [
      'submit of one unit',
      (settings, round) =>
        fleet.commandWith(settings, 'submit', fleet.writeUnit(`new-${round}.service`, SLEEPER)),
    ],
    ['list-units', (settings) => fleet.commandWith(settings, 'list-units', '--endpoint', 'none')],
  ];
  const candidates = verbs.flatMap(([name, command]) => [
    { name: `${name}, ${UNITS} units`, command: (round) => command(large, round) },
    { name: `${name}, empty`, command: (round) => command(empty, round) },
  ]);
  const results = await compare(candidates, rounds);
  return {
    title: `A registry of ${UNITS} units`,
    results,
    checks: verbs.map(([name]) => ratio(results, `${name}, ${UNITS} units`, `${name}, empty`, 1.3)),
  };
}
