import type { Sample } from './exposition.ts';

type Labels = Readonly<Record<string, string>>;

/** Counts by labels. */
export class Counter {
  readonly #counts = new Map<string, { readonly labels: Labels; value: number }>();

  /** Counts that are there from the beginning, at 0: without that the first of a kind is no increase. */
  constructor(known: readonly Labels[] = []) {
    for (const labels of known) this.add(labels, 0);
  }

  add(labels: Labels = {}, by = 1): void {
    const key = JSON.stringify(labels);
    const count = this.#counts.get(key) ?? { labels, value: 0 };
    count.value += by;
    this.#counts.set(key, count);
  }

  get samples(): readonly Sample[] {
    return [...this.#counts.values()];
  }
}
