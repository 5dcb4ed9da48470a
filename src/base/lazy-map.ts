/** A map over given keys whose values are made when they are asked for, once. A key with no value is not in the map. */
export class LazyMap<Value> implements ReadonlyMap<string, Value> {
  readonly #allKeys: () => readonly string[];
  readonly #make: (key: string) => Value | undefined;
  readonly #made = new Map<string, Value | undefined>();

  /** `make` returns undefined for a key that is not in the map, also for one that is not among `allKeys`. */
  constructor(allKeys: () => readonly string[], make: (key: string) => Value | undefined) {
    this.#allKeys = allKeys;
    this.#make = make;
  }

  get(key: string): Value | undefined {
    if (!this.#made.has(key)) this.#made.set(key, this.#make(key));
    return this.#made.get(key);
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  get size(): number {
    return [...this.entries()].length;
  }

  *entries(): MapIterator<[string, Value]> {
    for (const key of this.#allKeys()) {
      const value = this.get(key);
      if (value !== undefined) yield [key, value];
    }
  }

  *keys(): MapIterator<string> {
    for (const [key] of this.entries()) yield key;
  }

  *values(): MapIterator<Value> {
    for (const [, value] of this.entries()) yield value;
  }

  forEach(action: (value: Value, key: string, map: ReadonlyMap<string, Value>) => void): void {
    for (const [key, value] of this.entries()) action(value, key, this);
  }

  [Symbol.iterator](): MapIterator<[string, Value]> {
    return this.entries();
  }
}
