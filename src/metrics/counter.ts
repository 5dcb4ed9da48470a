import type { Sample } from './exposition.ts';

/** Counts by labels. */
export class Counter {
  readonly #counts = new Map<string, { readonly labels: Readonly<Record<string, string>>; value: number }>();

  add(labels: Readonly<Record<string, string>> = {}, by = 1): void {
    const key = JSON.stringify(labels);
    const count = this.#counts.get(key) ?? { labels, value: 0 };
    count.value += by;
    this.#counts.set(key, count);
  }

  get samples(): readonly Sample[] {
    return [...this.#counts.values()];
  }
}
