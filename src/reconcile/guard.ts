import { isFleetError } from '../base/errors.ts';
import type { Observation } from '../cluster/snapshot.ts';
import type { Machine } from '../machine/machine.ts';
import type { Edit } from '../registry/edit.ts';
import type { Registry } from '../registry/registry.ts';
import type { MachineSession, SystemdDriver } from '../systemd/driver.ts';
import { type ObserveRequest, observedBy, observeQuery } from '../systemd/observation.ts';
import { comparedRegistry, refuseDoubtful } from './outdated.ts';
import type { Ports } from './reconcile.ts';

/** An observation that was made before a pass asked for it. */
type Ahead = {
  readonly session: MachineSession;
  readonly request: ObserveRequest;
  readonly observation: Promise<Observation>;
};

/**
 * The same edges with a registry that stores nothing while a machine has seen newer decisions than it has made: such a
 * registry may be an old copy, and every change would bring it nearer to what machines have, until it passes for the
 * current one. Updates reject with FleetError `registry-outdated`; reading goes on.
 *
 * Before the first change every machine is asked, those that were asked already are not. The pass that follows is given
 * that very look, so a command asks a machine no more often than without. For one command: `driver.close` ends what was
 * not used.
 */
export function guarded(ports: Ports): Ports {
  const guard = new Guard(ports);
  return { ...ports, registry: guard.registry, driver: guard.driver };
}

class Guard {
  readonly registry: Registry;
  readonly driver: SystemdDriver;
  readonly #ports: Ports;
  /** What machines have answered first, by their names; undefined for one that did not answer. */
  readonly #seen = new Map<string, Observation | undefined>();
  readonly #ahead = new Map<string, Ahead>();

  constructor(ports: Ports) {
    const { registry, driver } = ports;
    this.#ports = ports;
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
        for (const { session } of this.#ahead.values()) session.close();
        await driver.close();
      },
    };
  }

  async #update(decide: Parameters<Registry['update']>[0]): ReturnType<Registry['update']> {
    const { registry, machines } = this.#ports;
    const before = await registry.load();
    const edits = decide(before);
    if (edits.length === 0) return before;
    await this.#lookAtRest({ names: unitsOf(edits), digests: true });
    const seen = machines.map((machine) => {
      const observation = this.#seen.get(machine.name);
      return { machine, id: observation?.id, observation, unreachable: undefined, backSince: undefined };
    });
    return comparedRegistry(registry, () => seen, refuseDoubtful).update(decide);
  }

  /** Looks at the machines that have not been asked yet. */
  async #lookAtRest(request: ObserveRequest): Promise<void> {
    const rest = this.#ports.machines.filter(({ name }) => !this.#seen.has(name));
    await Promise.all(
      rest.map(async (machine) => {
        const session = this.#open(machine);
        const observation = session.ask(observeQuery(request));
        this.#ahead.set(machine.name, { session, request, observation });
        await observation.catch((error: unknown) => {
          if (!isFleetError(error)) throw error;
        });
      }),
    );
  }

  #connect(machine: Machine): MachineSession {
    const ahead = this.#ahead.get(machine.name);
    this.#ahead.delete(machine.name);
    if (ahead === undefined) return this.#open(machine);
    const { session, request } = ahead;
    let unused: Promise<Observation> | undefined = ahead.observation;
    return observedBy(session, (query) => {
      const known = covers(request, query.request) ? unused : undefined;
      unused = undefined;
      return known ?? session.ask(query);
    });
  }

  /** A session whose first answer tells the highest token that the machine has seen, too. */
  #open(machine: Machine): MachineSession {
    const session = this.#ports.driver.connect(machine);
    return observedBy(session, async (query) => {
      if (this.#seen.get(machine.name) !== undefined) return session.ask(query);
      try {
        const observation = await session.ask(observeQuery({ ...query.request, token: true }));
        this.#seen.set(machine.name, observation);
        return observation;
      } catch (error) {
        // It is not asked a second time: silence is measured meanwhile.
        if (!this.#seen.has(machine.name)) this.#seen.set(machine.name, undefined);
        throw error;
      }
    });
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
