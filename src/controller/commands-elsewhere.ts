import { type ClusterSnapshot, copiesOfUnits, type DesiredUnit, type Token } from '../cluster/snapshot.ts';
import { isRunning, isUp } from '../cluster/unit-state.ts';
import { type Registry, withWholeViews } from '../registry/registry.ts';

/** How long a unit is left to a command of another process that has changed it, or whose start has just failed, in ms. */
const GRACE_MS = 2_000;
/** How long after its decision a command may still be waiting for a start, in ms. */
const LONGEST_START_MS = 600_000;
/** How many decisions of this process are remembered. */
const MOST_DECISIONS = 1_000;

/**
 * When the present decision about a unit was first seen, and since when the unit is down under it, epoch ms. Its destruction is a
 * decision with the token of the first registry that lacks it.
 */
type Seen = {
  readonly token: Token;
  readonly isDestroyed: boolean;
  since: number;
  downSince: number | undefined;
};

/** A command that is about to change the registry, which has this token, and will ask this process for its pass. */
type Announced = { readonly token: Token };

/**
 * Commands in other processes, which run their passes themselves or ask this process for them. The units that they change are
 * left to them for a moment: two passes would start a unit twice, and take the second start for a success of the first one.
 */
export class CommandsElsewhere {
  readonly #own = new Set<Token>();
  #seen: Map<string, Seen> | undefined;
  /** The commands that have not asked for their passes yet. */
  readonly #announced = new Set<Announced>();
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
   * What is changed after that token may be changed by the command. Before the first decision of this process, `snapshot` says what
   * was changed earlier.
   */
  announce(token: Token, snapshot: () => ClusterSnapshot): Announced {
    if (this.#seen === undefined) this.unitsOf(snapshot());
    const announced = { token };
    this.#announced.add(announced);
    return announced;
  }

  /** The command asks for its pass. */
  ask(announced: Announced): void {
    this.#announced.delete(announced);
  }

  /**
   * The command is gone. Unless it has asked for its pass, what it has changed is not left to it any more, also if that is seen a
   * little later; then the result is true.
   */
  abandon(announced: Announced, now: number): boolean {
    if (!this.#announced.delete(announced)) return false;
    this.#released = { token: announced.token, until: now + GRACE_MS };
    for (const entry of this.#seen?.values() ?? [])
      if (this.#isReleased(entry.token, now)) entry.since = Number.NEGATIVE_INFINITY;
    return true;
  }

  /** The units that are left to commands, and until when, epoch ms. Has to be called with each snapshot. */
  unitsOf(snapshot: ClusterSnapshot): ReadonlyMap<string, number> {
    const { now } = snapshot;
    const seen = this.#see(snapshot);
    const recent = [...seen].filter(
      ([, { token, since }]) => now - since < LONGEST_START_MS && !this.#own.has(token),
    );
    const down = downOf(snapshot, new Set(recent.map(([name]) => name)));
    const left = new Map<string, number>();
    for (const [name, entry] of recent) {
      entry.downSince = down.has(name) ? (entry.downSince ?? now) : undefined;
      const until = Math.max(entry.since, entry.downSince ?? 0) + GRACE_MS;
      if (until > now) left.set(name, until);
    }
    return left;
  }

  #see({ now, units, revision }: ClusterSnapshot): ReadonlyMap<string, Seen> {
    const before = this.#seen;
    const seen = new Map<string, Seen>();
    const see = (name: string, token: Token, isDestroyed: boolean): void => {
      const known = before?.get(name);
      const isKnown = known?.token === token;
      const isNew = !isKnown && before !== undefined && !this.#isReleased(token, now);
      const since = isNew ? now : Number.NEGATIVE_INFINITY;
      seen.set(name, isKnown ? known : { token, isDestroyed, since, downSince: undefined });
    };
    for (const { name, token } of units) see(name, token, false);
    for (const [name, { token, isDestroyed, since }] of before ?? []) {
      if (seen.has(name) || (isDestroyed && now - since >= GRACE_MS)) continue;
      see(name, isDestroyed ? token : revision, true);
    }
    this.#seen = seen;
    return seen;
  }

  /** Whether an abandoned command may have changed the unit, and no other one that was announced. */
  #isReleased(token: Token, now: number): boolean {
    const isOthers = [...this.#announced].some((other) => token > other.token);
    const { token: last = token, until = 0 } = this.#released ?? {};
    return token > last && now < until && !isOthers;
  }
}

/**
 * The units of `names` that a machine was to launch by their present decisions, and that are not up there. No machine is searched
 * without names, because this runs before every decision.
 */
function downOf(snapshot: ClusterSnapshot, names: ReadonlySet<string>): ReadonlySet<string> {
  if (names.size === 0) return names;
  const copies = copiesOfUnits(snapshot, names);
  const isDown = ({ name, token, target }: DesiredUnit): boolean =>
    target === 'launched' &&
    (copies.get(name) ?? []).some(({ observed: { record, state } }) => {
      const isApplied = record?.token === token && record.target === 'launched';
      return isApplied && !isUp(state) && !isRunning(state);
    });
  return new Set(snapshot.units.filter(isDown).map(({ name }) => name));
}
