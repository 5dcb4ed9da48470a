import type { Outcome } from '../e2e/operator.ts';

/** What a machine goes through; `to` is Infinity while it lasts. Epoch ms. */
export type Trouble = {
  readonly machine: string;
  readonly kind: TroubleKind;
  readonly from: number;
  to: number;
};
export type TroubleKind = 'kill' | 'hang' | 'cut' | 'sshd' | 'reboot';

/** A command of the operator, or what somebody did by hand on a machine. */
export type Deed = {
  readonly words: readonly string[];
  readonly from: number;
  readonly to: number;
  readonly outcome: Outcome | undefined;
};

/** One change of the registry, as `fleetctl events -o json` tells it. */
export type Told = {
  readonly time: string;
  readonly event: string;
  readonly unit?: string;
  readonly from?: Place;
  readonly to?: Place;
  readonly target?: string;
};
type Place = { readonly name: string | null };

/** Everything that was done to a cluster, and what it said about it. */
export class Chronicle {
  readonly troubles: Trouble[] = [];
  readonly deeds: Deed[] = [];
  readonly #told = new Map<string, Told>();

  /** Adds lines of `fleetctl events -o json`, of which some may be known already. */
  tell(lines: string): void {
    for (const line of lines.split('\n').filter(Boolean)) this.#told.set(line, JSON.parse(line));
  }

  /** Oldest first. */
  get told(): readonly Told[] {
    return [...this.#told.values()];
  }

  begin(machine: string, kind: TroubleKind): Trouble {
    const trouble = { machine, kind, from: Date.now(), to: Number.POSITIVE_INFINITY };
    this.troubles.push(trouble);
    return trouble;
  }

  isInTrouble(machine: string): boolean {
    return this.troubles.some((trouble) => trouble.machine === machine && !Number.isFinite(trouble.to));
  }

  /** The troubles that a machine was in at some moment between the two. */
  troublesOf(machine: string, from: number, to: number): readonly Trouble[] {
    return this.troubles.filter(
      (trouble) => trouble.machine === machine && trouble.from <= to && trouble.to >= from,
    );
  }
}
