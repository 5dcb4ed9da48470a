import { type Head, isContained } from './head.ts';
import { eraOf, isFormer } from './membership.ts';

/** A machine with a registry from before a recovery, which may have changes that the present one lacks. */
export type FormerRegistry = { readonly machine: string; readonly revision: number };

/** How many eras of a machine are remembered: one that makes them up must not fill the memory. */
const MOST_ERAS = 8;

/** The eras of registries that machines have shown to this process, also in copies. */
export class Eras {
  /** Cluster → the head with the latest epoch. */
  readonly #latest = new Map<string, Head>();
  /** Machine and era → the last head that it has shown. */
  readonly #shown = new Map<string, { readonly machine: string; readonly head: Head }>();

  note(machine: string, head: Head): void {
    const key = `${machine} ${eraOf(head.membership)}`;
    this.#shown.delete(key);
    this.#shown.set(key, { machine, head });
    const [oldest, ...others] = [...this.#shown].filter(([, shown]) => shown.machine === machine);
    if (oldest !== undefined && others.length >= MOST_ERAS) this.#shown.delete(oldest[0]);
    if (head.membership.epoch > (this.latestOf(head.cluster)?.membership.epoch ?? 0))
      this.#latest.set(head.cluster, head);
  }

  /** The head of a cluster with the latest epoch. */
  latestOf(cluster: string): Head | undefined {
    return this.#latest.get(cluster);
  }

  /** The former registries of a cluster, also those that have been replaced since. */
  formerOf(cluster: string): readonly FormerRegistry[] {
    const latest = this.latestOf(cluster);
    return [...this.#shown.values()].flatMap(({ machine, head }) => {
      const isLeft =
        latest !== undefined && head.cluster === cluster && isFormer(head.membership, latest.membership);
      return isLeft && !isContained(head, latest) ? [{ machine, revision: head.revision }] : [];
    });
  }
}
