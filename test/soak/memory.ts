import type { Fleetd } from '../e2e/fleetd.ts';

/** Resident memory of one fleetd at a time, in MiB. */
type Sample = { readonly at: number; readonly mib: number; readonly leads: boolean };

/** Only processes that ran longer are checked, in ms, because the memory of Node grows at first. */
const MIN_LIFETIME_MS = 5 * 60_000;
/** Allowed growth in the last third of a lifetime over the other thirds. */
const GROWTH = 1.1;

/** Memory samples of all fleetd processes. */
export class Memory {
  readonly #samples = new Map<Fleetd, Sample[]>();

  sample(fleetds: readonly Fleetd[]): void {
    for (const fleetd of fleetds) {
      if (!fleetd.isRunning) continue;
      const sample = { at: Date.now(), mib: fleetd.residentMiB, leads: fleetd.leads };
      const samples = this.#samples.get(fleetd) ?? [];
      this.#samples.set(fleetd, samples);
      // NaN: the process has just ended.
      if (sample.mib > 0) samples.push(sample);
    }
  }

  /** Processes with a long lifetime whose memory grew at its end. */
  get growth(): readonly string[] {
    return this.#long
      .filter((samples) => {
        const [start, middle, end] = thirds(samples);
        return end > Math.max(start, middle) * GROWTH;
      })
      .map((samples) => describeLifetime(samples));
  }

  get report(): readonly string[] {
    const others = [...this.#samples.values()].filter((samples) => !this.#long.includes(samples));
    const most = Math.max(0, ...others.flat().map(({ mib }) => mib));
    return [
      ...this.#long.map(describeLifetime),
      `memory of ${others.length} fleetd with a short lifetime: at most ${Math.round(most)} MiB`,
    ];
  }

  get #long(): readonly Sample[][] {
    return [...this.#samples.values()].filter(
      (samples) => (samples.at(-1)?.at ?? 0) - (samples[0]?.at ?? 0) > MIN_LIFETIME_MS,
    );
  }
}

function describeLifetime(samples: readonly Sample[]): string {
  const [start, middle, end] = thirds(samples).map((mib) => mib.toFixed(1));
  const most = Math.max(...samples.map(({ mib }) => mib)).toFixed(1);
  const led = samples.filter(({ leads }) => leads).length / samples.length;
  const minutes = samples.filter((_, i) => i % 60 === 0).map(({ mib }) => Math.round(mib));
  return `memory of a fleetd (leader for ${Math.round(led * 100)} % of its lifetime) in each third, MiB: start ${start}, middle ${middle}, end ${end}; at most ${most}; every minute ${minutes.join(' ')}`;
}

/** Memory in the first, second and last third of a lifetime, in MiB. The lowest tenth of the samples counts, to leave out garbage. */
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
