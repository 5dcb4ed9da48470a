/** True time and events, in order, and which machines run the unit at every moment. */
export class World {
  readonly random: () => number;
  /** True time, in ms. */
  now = 0;
  /** Whether the faults have ended. */
  isCalm: boolean = false;
  /** What two machines did at the same time. */
  readonly violations: string[] = [];
  /** How often the unit was started. */
  begun = 0;
  readonly #drift: number;
  readonly #running = new Set<string>();
  readonly #queue: { readonly at: number; readonly order: number; readonly event: () => void }[] = [];
  #order = 0;

  constructor(random: () => number, drift: number) {
    this.random = random;
    this.#drift = drift;
  }

  /** Runs `event` after so many ms. */
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

  /** The same, but mostly the maximum. */
  upToAll(most: number): number {
    return this.chance(0.8) ? most : this.upTo(most);
  }

  /** The rate of a clock: the slow ones show true time, and the fast ones gain the drift. */
  clockRate(): number {
    return this.chance(0.5) ? 1 : 1 + this.#drift;
  }

  chance(share: number): boolean {
    return this.random() < share;
  }

  begins(machine: string): void {
    this.begun++;
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
