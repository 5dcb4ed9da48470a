import type { Fleetd } from '../e2e/fleetd.ts';

/** What one fleetd held in memory at a moment, MiB. */
type Sample = { readonly at: number; readonly mib: number; readonly leads: boolean };

/** A life that is told of lasted for this long, in ms: what node itself takes at first, it keeps. */
const LONG_MS = 5 * 60_000;
/** How much more it may keep in the last third of its life than in the others: what leaks is most at the end. */
const GROWTH = 1.1;

/** What fleetds hold in memory. */
export class Memory {
  readonly #samples = new Map<Fleetd, Sample[]>();

  sample(crew: readonly Fleetd[]): void {
    for (const fleetd of crew) {
      if (!fleetd.isRunning) continue;
      const sample = { at: Date.now(), mib: fleetd.residentMiB, leads: fleetd.leads };
      const samples = this.#samples.get(fleetd) ?? [];
      this.#samples.set(fleetd, samples);
      // NaN is one that has ended a moment ago.
      if (sample.mib > 0) samples.push(sample);
    }
  }

  /** Those who lived for long and keep more at the end than before. */
  get grown(): readonly string[] {
    return this.#long
      .filter((samples) => {
        const [start, middle, end] = thirds(samples);
        return end > Math.max(start, middle) * GROWTH;
      })
      .map((samples) => lifeOf(samples));
  }

  get report(): readonly string[] {
    const others = [...this.#samples.values()].filter((samples) => !this.#long.includes(samples));
    const most = Math.max(0, ...others.flat().map(({ mib }) => mib));
    return [
      ...this.#long.map(lifeOf),
      `memory of ${others.length} fleetd that did not live for long: at most ${Math.round(most)} MiB`,
    ];
  }

  get #long(): readonly Sample[][] {
    return [...this.#samples.values()].filter(
      (samples) => (samples.at(-1)?.at ?? 0) - (samples[0]?.at ?? 0) > LONG_MS,
    );
  }
}

function lifeOf(samples: readonly Sample[]): string {
  const [start, middle, end] = thirds(samples).map((mib) => mib.toFixed(1));
  const most = Math.max(...samples.map(({ mib }) => mib)).toFixed(1);
  const led = samples.filter(({ leads }) => leads).length / samples.length;
  const minutes = samples.filter((_, i) => i % 60 === 0).map(({ mib }) => Math.round(mib));
  return `memory that a fleetd, which led ${Math.round(led * 100)} % of its life, kept in each third, MiB: start ${start}, middle ${middle}, end ${end}; at most ${most}; every minute ${minutes.join(' ')}`;
}

/** What was kept in the first, second and last third of a life, MiB: garbage comes and goes, so the lowest tenth of samples counts. */
function thirds(samples: readonly Sample[]): readonly [number, number, number] {
  const cut = (i: number): number => Math.round((samples.length * i) / 3);
  const kept = (i: number): number => {
    const sorted = samples
      .slice(cut(i), cut(i + 1))
      .map(({ mib }) => mib)
      .toSorted((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 10)] ?? 0;
  };
  return [kept(0), kept(1), kept(2)];
}
