import { type FleetError, isFleetError } from '../base/errors.ts';
import type { Observation } from '../cluster/snapshot.ts';
import type { Machine } from '../machine/machine.ts';
import type { Edit } from '../registry/edit.ts';
import type { Registry } from '../registry/registry.ts';
import type { MachineSession, ObserveRequest, SystemdDriver } from '../systemd/driver.ts';
import { observedBy, observeQuery } from '../systemd/observation.ts';
import { comparedRegistry, refuseDoubtful } from './outdated.ts';
import type { Edges } from './reconcile.ts';

/** A look at a machine that was taken before anybody asked for it, or why there is none. */
type Ahead =
  | {
      readonly session: MachineSession;
      readonly request: ObserveRequest;
      readonly observation: Observation;
    }
  | FleetError;

/**
 * The same edges with a registry that stores nothing while a machine has seen newer decisions than it has made: such a
 * registry may be an old copy, and every change would bring it nearer to what machines have, until it passes for the
 * current one. Updates reject with FleetError `registry-outdated`; reading goes on.
 *
 * Before the first change every machine is asked, those that were asked already are not. The pass that follows is given
 * that very look, so a command asks a machine no more often than without. For one command: `driver.close` ends what was
 * not used.
 */
export function guarded(edges: Edges): Edges {
  const guard = new Guard(edges);
  return { ...edges, registry: guard.registry, driver: guard.driver };
}

class Guard {
  readonly registry: Registry;
  readonly driver: SystemdDriver;
  readonly #edges: Edges;
  /** What machines have answered first, by their names; undefined for one that did not answer. */
  readonly #seen = new Map<string, Observation | undefined>();
  readonly #ahead = new Map<string, Ahead>();

  constructor(edges: Edges) {
    const { registry, driver } = edges;
    this.#edges = edges;
    this.registry = {
      load: () => registry.load(),
      update: (decide) => this.#update(decide),
      waitForChange: (view, signal) => registry.waitForChange(view, signal),
      close: () => registry.close(),
    };
    this.driver = {
      connect: (machine) => this.#connect(machine),
      journal: (machine, request) => driver.journal(machine, request),
      close: async () => {
        for (const ahead of this.#ahead.values()) if (!isFleetError(ahead)) ahead.session.close();
        await driver.close();
      },
    };
  }

  async #update(decide: Parameters<Registry['update']>[0]): ReturnType<Registry['update']> {
    const { registry, machines } = this.#edges;
    const before = await registry.load();
    const edits = decide(before);
    if (edits.length === 0) return before;
    await this.#lookAtRest({ names: unitsOf(edits), digests: true });
    const seen = machines.map((machine) => {
      const observation = this.#seen.get(machine.name);
      return { machine, id: observation?.id, observation, silence: undefined, backSince: undefined };
    });
    return comparedRegistry(registry, () => seen, refuseDoubtful).update(decide);
  }

  /** Looks at the machines that have not been asked yet. */
  async #lookAtRest(request: ObserveRequest): Promise<void> {
    const rest = this.#edges.machines.filter(({ name }) => !this.#seen.has(name));
    await Promise.all(
      rest.map(async (machine) => {
        try {
          const session = await this.#open(machine);
          const observation = await session.ask(observeQuery(request));
          this.#ahead.set(machine.name, { session, request, observation });
        } catch (error) {
          if (!isFleetError(error)) throw error;
          this.#ahead.set(machine.name, error);
        }
      }),
    );
  }

  async #connect(machine: Machine): Promise<MachineSession> {
    const ahead = this.#ahead.get(machine.name);
    this.#ahead.delete(machine.name);
    if (ahead === undefined) return this.#open(machine);
    if (isFleetError(ahead)) throw ahead;
    const { session, request, observation } = ahead;
    let unused: Observation | undefined = observation;
    return observedBy(session, async (query) => {
      const known = covers(request, query.request) ? unused : undefined;
      unused = undefined;
      return known ?? session.ask(query);
    });
  }

  /** A session whose first answer tells the highest token that the machine has seen, too. */
  async #open(machine: Machine): Promise<MachineSession> {
    const session = await this.#noting(machine, () => this.#edges.driver.connect(machine));
    return observedBy(session, async (query) => {
      if (this.#seen.get(machine.name) !== undefined) return session.ask(query);
      const more = observeQuery({ ...query.request, token: true });
      const observation = await this.#noting(machine, () => session.ask(more));
      this.#seen.set(machine.name, observation);
      return observation;
    });
  }

  /** Who does not answer is not asked a second time: silence is measured meanwhile. */
  async #noting<T>({ name }: Machine, ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      if (!this.#seen.has(name)) this.#seen.set(name, undefined);
      throw error;
    }
  }
}

/** Whether the answer to `given` answers `asked`. */
function covers(given: ObserveRequest, { names, digests, backup, vitals }: ObserveRequest): boolean {
  const isNamed = (name: string): boolean => given.names.includes(name);
  return !backup && !vitals && (given.digests || !digests) && names.every(isNamed);
}

function unitsOf(edits: readonly Edit[]): readonly string[] {
  return edits.flatMap((edit) => {
    if (edit.kind === 'put-unit') return [edit.unit.name];
    return edit.kind === 'delete-unit' ? [edit.name] : [];
  });
}
