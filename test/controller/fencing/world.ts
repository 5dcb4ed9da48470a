/** True time and what happens in it, in order; and which machines run the unit at every moment. */
export class World {
  readonly random: () => number;
  /** True time, in ms. */
  now = 0;
  /** What two machines did at once. */
  readonly violations: string[] = [];
  readonly #running = new Set<string>();
  readonly #queue: { readonly at: number; readonly order: number; readonly event: () => void }[] = [];
  #order = 0;

  constructor(random: () => number) {
    this.random = random;
  }

  /** Has `event` happen in so many ms. */
  in(ms: number, event: () => void): void {
    const entry = { at: this.now + Math.max(0, ms), order: this.#order++, event };
    let low = 0;
    let high = this.#queue.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#queue[middle];
      if (
        other !== undefined &&
        (other.at > entry.at || (other.at === entry.at && other.order > entry.order))
      )
        low = middle + 1;
      else high = middle;
    }
    this.#queue.splice(low, 0, entry);
  }

  runUntil(end: number): void {
    for (let next = this.#queue.at(-1); next !== undefined && next.at <= end; next = this.#queue.at(-1)) {
      this.#queue.pop();
      this.now = next.at;
      next.event();
    }
    this.now = end;
  }

  /** A number below `most`. */
  upTo(most: number): number {
    return this.random() * most;
  }

  chance(share: number): boolean {
    return this.random() < share;
  }

  begins(machine: string): void {
    if (this.#running.size > 0)
      this.violations.push(`at ${Math.round(this.now)} ms ${machine} beside ${[...this.#running].join(' ')}`);
    this.#running.add(machine);
  }

  ends(machine: string): void {
    this.#running.delete(machine);
  }

  get running(): readonly string[] {
    return [...this.#running];
  }
}
