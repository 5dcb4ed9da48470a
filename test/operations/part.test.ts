import { expect, it } from 'vitest';
import type { LocalUnit } from '../../src/operations/local-file.ts';
import { submitFiles } from '../../src/operations/submit.ts';
import { cat, history } from '../../src/operations/unit-texts.ts';
import { createRegistry, type Registry, withWholeViews } from '../../src/registry/registry.ts';
import type { Store } from '../../src/store/store.ts';
import { parseUnitName, templateOf } from '../../src/unit/unit-name.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { pick, seeded, seeds } from '../support/random.ts';

const SEEDS = seeds(40);
const NAMES = [
  'a.service',
  'b.service',
  'a.timer',
  'b.socket',
  'web@.service',
  'web@1.service',
  'web@2.service',
];
const LINES = [
  '[Service]\nExecStart=/bin/true',
  '[Unit]\nRequires=other.service',
  '[Install]\nAlias=other.service',
  '[X-Fleet]\nReplaces=other.service',
  '[X-Fleet]\nReplaces=a.service',
  '[X-Fleet]\nMachineOf=b.service',
  '[Timer]\nOnCalendar=daily\nUnit=b.service',
  '[Socket]\nListenStream=80\nAccept=yes',
];

/** A registry whose reads and changes have the whole view. */
function always(registry: Registry): Registry {
  return withWholeViews({
    ...registry,
    read: (use) => registry.read((view) => use(view.whole)),
    change: (decide, use, author) => registry.change((view) => decide(view.whole), use, author),
  });
}

function localFile(name: string, random: () => number): LocalUnit {
  const text = (): string => `${[0, 1].map(() => pick(random, LINES)).join('\n')}\n`;
  const file = (path: string) => (random() < 0.8 ? { path: `/${path}`, content: text() } : undefined);
  const unitName = parseUnitName(name);
  const template = templateOf(unitName)?.text;
  return {
    name: unitName,
    own: file(name),
    template: template === undefined ? undefined : file(template),
    beside: new Set(random() < 0.5 ? ['web@1.service'] : []),
  };
}

/** Everything in a store, with one id for all clusters. */
async function contents(store: Store) {
  return (await store.list('')).records.filter(({ key }) => key !== 'cluster');
}

it('gives the results and the registry that reading everything gives, for random requests', async () => {
  let stored = 0;
  for (const seed of SEEDS) {
    const random = seeded(seed);
    const stores = [createMemoryStore(), createMemoryStore()];
    const options = { clock: { now: () => seed }, author: 'me@here' };
    const [part, whole] = stores.map((store) => createRegistry(store, options)) as [Registry, Registry];
    for (let step = 0; step < 8; step++) {
      const names = [...new Set([pick(random, NAMES), pick(random, NAMES)])];
      const locals = names.map((name) => localFile(name, random));
      const companions = random() < 0.3 ? [localFile('b.service', random)] : [];
      const replace = random() < 0.5;
      // Target states for the next requests, which read everything either way.
      const target = pick(random, ['inactive', 'loaded', 'launched'] as const);
      const aim = random() < 0.3 ? () => target : undefined;
      const request = async (registry: Registry) => {
        const { registry: _, ...rest } = await submitFiles(registry, { locals, replace, aim, companions });
        return rest;
      };
      const [mine, theirs] = [await request(part), await request(always(whole))];
      expect([seed, step, mine]).toEqual([seed, step, theirs]);
      stored += mine.created.size + mine.replaced.size;
      for (const name of NAMES)
        for (const ask of [cat, history]) {
          const answer = (registry: Registry) => ask(registry, name).catch((error: Error) => error.message);
          expect([seed, step, name, await answer(part)]).toEqual([
            seed,
            step,
            name,
            await answer(always(whole)),
          ]);
        }
    }
    expect([seed, await contents(stores[0] as Store)]).toEqual([seed, await contents(stores[1] as Store)]);
  }
  expect(stored).toBeGreaterThan(1.6 * SEEDS.length);
});
