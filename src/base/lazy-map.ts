/** The function, which makes its result once for each object. For objects that never change. */
export function madeOnce<Key extends object, Value extends object>(
  make: (key: Key) => Value,
): (key: Key) => Value {
  const made = new WeakMap<Key, Value>();
  return (key) => {
    const known = made.get(key) ?? make(key);
    made.set(key, known);
    return known;
  };
}

/** A map over given keys whose values are made when they are asked for, once. A key with no value is not in the map. */
export class LazyMap<Value> implements ReadonlyMap<string, Value> {
  readonly #allKeys: () => readonly string[];
  readonly #make: (key: string) => Value | undefined;
  /** The values that were asked for by their keys, until all are made. */
  readonly #made = new Map<string, Value | undefined>();
  #all: ReadonlyMap<string, Value> | undefined;

  /** `make` returns undefined for a key that is not in the map, also for one that is not among `allKeys`. */
  constructor(allKeys: () => readonly string[], make: (key: string) => Value | undefined) {
    this.#allKeys = allKeys;
    this.#make = make;
  }

  get(key: string): Value | undefined {
    if (this.#all !== undefined) return this.#all.get(key);
    const known = this.#made.get(key);
    if (known !== undefined || this.#made.has(key)) return known;
    const value = this.#make(key);
    this.#made.set(key, value);
    return value;
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  get size(): number {
    return this.#whole().size;
  }

  entries(): MapIterator<[string, Value]> {
    return this.#whole().entries();
  }

  keys(): MapIterator<string> {
    return this.#whole().keys();
  }

  values(): MapIterator<Value> {
    return this.#whole().values();
  }

  forEach(action: (value: Value, key: string, map: ReadonlyMap<string, Value>) => void): void {
    for (const [key, value] of this.entries()) action(value, key, this);
  }

  [Symbol.iterator](): MapIterator<[string, Value]> {
    return this.entries();
  }

  /** The map with all values, in the order of the keys. */
  #whole(): ReadonlyMap<string, Value> {
    if (this.#all !== undefined) return this.#all;
    const all = new Map<string, Value>();
    for (const key of this.#allKeys()) {
      const value = this.#made.has(key) ? this.#made.get(key) : this.#make(key);
      if (value !== undefined) all.set(key, value);
    }
    this.#all = all;
    this.#made.clear();
    return all;
  }
}
