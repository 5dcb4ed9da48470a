import { type Head, isContained } from './head.ts';
import { eraOf, isFormer } from './membership.ts';

/** A machine with a registry from before a recovery, which may have changes that the present one lacks. */
export type FormerRegistry = { readonly machine: string; readonly revision: number };

/** How many eras of a machine are remembered: one that makes up eras or clusters must not fill the memory. */
const MOST_ERAS = 8;

/** The last head of an era that a machine has shown, and the one with the latest epoch. */
type Shown = { readonly head: Head; readonly latest: Head };

/** The eras of registries that machines have shown to this process, also in copies. */
export class Eras {
  /** Machine → cluster and era → what it has shown of that, the last one at the end. */
  readonly #shown = new Map<string, Map<string, Shown>>();

  note(machine: string, head: Head): void {
    const eras = this.#shown.get(machine) ?? new Map<string, Shown>();
    this.#shown.set(machine, eras);
    const key = `${head.cluster} ${eraOf(head.membership)}`;
    const latest = laterOf(eras.get(key)?.latest, head);
    eras.delete(key);
    eras.set(key, { head, latest });
    const [oldest] = eras.keys();
    if (eras.size > MOST_ERAS && oldest !== undefined) eras.delete(oldest);
  }

  /** The head of a cluster with the latest epoch. */
  latestOf(cluster: string): Head | undefined {
    return [...this.#shown.values()]
      .flatMap((eras) => [...eras.values()])
      .filter(({ head }) => head.cluster === cluster)
      .reduce<Head | undefined>((latest, shown) => laterOf(latest, shown.latest), undefined);
  }

  /** The former registries of a cluster, also those that have been replaced since. */
  formerOf(cluster: string): readonly FormerRegistry[] {
    const latest = this.latestOf(cluster);
    return [...this.#shown].flatMap(([machine, eras]) =>
      [...eras.values()].flatMap(({ head }) => {
        const isLeft =
          latest !== undefined && head.cluster === cluster && isFormer(head.membership, latest.membership);
        return isLeft && !isContained(head, latest) ? [{ machine, revision: head.revision }] : [];
      }),
    );
  }
}

/** The one with the later epoch; the first one if the epochs are equal. */
function laterOf(one: Head | undefined, other: Head): Head {
  return one !== undefined && one.membership.epoch >= other.membership.epoch ? one : other;
}
