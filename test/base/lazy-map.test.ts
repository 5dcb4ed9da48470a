import { expect, it } from 'vitest';
import { LazyMap } from '../../src/base/lazy-map.ts';

it('a lazy map makes each value once, and has no key without a value', () => {
  const made: string[] = [];
  const map = new LazyMap(
    () => ['a', 'none', 'b'],
    (key) => {
      made.push(key);
      return key.length === 1 ? key.toUpperCase() : undefined;
    },
  );
  expect([map.get('b'), map.get('b'), map.has('none'), map.get('other')]).toEqual([
    'B',
    'B',
    false,
    undefined,
  ]);
  expect(made).toEqual(['b', 'none', 'other']);
  const entries = [
    ['a', 'A'],
    ['b', 'B'],
  ];
  expect([...map]).toEqual(entries);
  expect([[...map.keys()], [...map.values()], map.size]).toEqual([['a', 'b'], ['A', 'B'], 2]);
  const seen: string[][] = [];
  map.forEach((value, key) => void seen.push([key, value]));
  expect(seen).toEqual(entries);
  expect(made).toEqual(['b', 'none', 'other', 'a']);
});
