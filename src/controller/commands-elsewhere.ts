import { type ClusterSnapshot, type DesiredUnit, observedOn, type Token } from '../cluster/snapshot.ts';
import { isRunning, isUp } from '../cluster/unit-state.ts';
import { type Registry, withWholeViews } from '../registry/registry.ts';

/** How long a unit is left to a command of another process that has changed it, or whose start has just failed, in ms. */
const GRACE_MS = 2_000;
/** How long after its decision a command may still be waiting for a start, in ms. */
const LONGEST_START_MS = 600_000;
/** How many decisions of this process are remembered. */
const MOST_DECISIONS = 1_000;

/** When the present decision about a unit was first seen, and since when the unit is down under it, epoch ms. */
type Seen = { readonly token: Token; since: number; downSince: number | undefined };

/**
 * Commands that run passes in other processes. The units that they change are left to them for a moment: two processes would
 * start a unit twice, and take the second start for a success of the first one.
 */
export class CommandsElsewhere {
  readonly #own = new Set<Token>();
  #seen: Map<string, Seen> | undefined;
  /** The last command that was abandoned. */
  #released: { readonly token: Token; readonly until: number } | undefined;

  /** The registry, whose changes count as those of this process. */
  watch(registry: Registry): Registry {
    return withWholeViews({
      ...registry,
      change: async (decide, use, author) => {
        let token: Token | undefined;
        let isWritten = false;
        const result = await registry.change(
          (view) => {
            const edits = decide(view);
            isWritten = edits.length > 0;
            return edits;
          },
          (after) => {
            token = after.token;
            return use(after);
          },
          author,
        );
        if (isWritten && token !== undefined) this.#learn(token);
        return result;
      },
    });
  }

  #learn(token: Token): void {
    this.#own.add(token);
    const [oldest] = this.#own;
    if (this.#own.size > MOST_DECISIONS && oldest !== undefined) this.#own.delete(oldest);
  }

  /** After another controller has led, its decisions are not new. */
  forget(): void {
    this.#seen = undefined;
  }

  /**
   * A command that has announced its pass is gone: what it has changed after that token is not left to it, also if it is seen a little
   * later.
   */
  release(token: Token, now: number): void {
    this.#released = { token, until: now + GRACE_MS };
    for (const entry of this.#seen?.values() ?? [])
      if (entry.token > token) entry.since = Number.NEGATIVE_INFINITY;
  }

  /** The units that are left to commands, and until when, epoch ms. Has to be called with each snapshot. */
  unitsOf(snapshot: ClusterSnapshot): ReadonlyMap<string, number> {
    const { now } = snapshot;
    const before = this.#seen;
    const seen = new Map<string, Seen>();
    const left = new Map<string, number>();
    for (const unit of snapshot.units) {
      const { name, token } = unit;
      const known = before?.get(name);
      const isNew = before !== undefined && !this.#isReleased(token, now);
      const entry: Seen =
        known?.token === token
          ? known
          : { token, since: isNew ? now : Number.NEGATIVE_INFINITY, downSince: undefined };
      seen.set(name, entry);
      if (this.#own.has(token)) continue;
      // Machines are searched for new decisions only, because this runs before every decision.
      const isStarting = now - entry.since < LONGEST_START_MS;
      entry.downSince = isStarting && isDown(unit, snapshot) ? (entry.downSince ?? now) : undefined;
      const until = Math.max(entry.since, entry.downSince ?? 0) + GRACE_MS;
      if (until > now) left.set(name, until);
    }
    this.#seen = seen;
    return left;
  }

  #isReleased(token: Token, now: number): boolean {
    return this.#released !== undefined && token > this.#released.token && now < this.#released.until;
  }
}

/** Whether a machine has applied the decision to launch the unit, and it is not up there. */
function isDown({ name, token, target }: DesiredUnit, { machines }: ClusterSnapshot): boolean {
  return (
    target === 'launched' &&
    machines.some((machine) => {
      const observed = observedOn(machine, name);
      const isApplied = observed?.record?.token === token && observed.record.target === 'launched';
      return isApplied && !isUp(observed.state) && !isRunning(observed.state);
    })
  );
}
