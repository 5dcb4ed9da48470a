import { isFleetError } from '../base/errors.ts';
import type { MachineView } from '../cluster/snapshot.ts';
import type { Machine } from '../machine/machine.ts';
import type { Edit } from '../registry/edit.ts';
import { asProposed, clusterMachines } from '../registry/inventory.ts';
import { type Registry, withWholeViews } from '../registry/registry.ts';
import type { RegistryView } from '../registry/view.ts';
import type { MachineSession, SystemdDriver } from '../systemd/driver.ts';
import { type ObserveRequest, observedBy, observeQuery } from '../systemd/observation.ts';
import { type EarlyObservation, withEarly } from './early.ts';
import { refuseDoubtful } from './outdated.ts';
import type { Ports } from './ports.ts';

/**
 * The ports with a registry that stores nothing while a machine has a newer token than the registry. Such a registry may be
 * an old copy, and every change would raise its revision until the difference is no longer visible. Updates reject with
 * FleetError `registry-outdated`; reading works.
 *
 * Before the first change, all machines without an observation are observed. The pass after it gets these observations, so
 * a command observes each machine only once. For one command: `driver.close` ends unused sessions. `seen` returns the last
 * observations of a controller, which replace these; undefined without a controller.
 */
export function guarded(ports: Ports, seen: Guard['seen'] = async () => undefined): Ports {
  const guard = new Guard(ports, seen);
  return { ...ports, registry: guard.registry, driver: guard.driver };
}

type Decide = (view: RegistryView) => readonly Edit[];

class Guard {
  readonly registry: Registry;
  readonly driver: SystemdDriver;
  readonly seen: () => Promise<readonly MachineView[] | undefined>;
  readonly #ports: Ports;
  #hasLooked: boolean = false;
  /** The first answer of every machine, by name. */
  readonly #firstViews = new Map<string, MachineView>();
  /** By the machine's name. */
  readonly #early = new Map<string, EarlyObservation>();

  constructor(ports: Ports, seen: Guard['seen']) {
    const { registry, driver } = ports;
    this.seen = seen;
    this.#ports = ports;
    this.registry = withWholeViews({ ...registry, change: (decide, use) => this.#change(decide, use) });
    this.driver = {
      connect: (machine) => this.#connect(machine),
      journal: (machine, request) => driver.journal(machine, request),
      close: async () => {
        for (const { session } of this.#early.values()) session.close();
        await driver.close();
      },
    };
  }

  async #change<T>(decide: Decide, use: (after: RegistryView) => T): Promise<T> {
    const { registry, machines } = this.#ports;
    if (!this.#hasLooked) {
      const unchanged = await this.#look(decide, use);
      if (unchanged !== undefined) return unchanged.result;
    }
    // Taken before the registry is read, so that it contains all later decisions of other processes.
    const seen = await this.seen();
    const first = new Map(this.#firstViews);
    const checked: Decide = (view) => {
      const edits = decide(view);
      const views = seen ?? clusterMachines(view, machines).flatMap(({ name }) => first.get(name) ?? []);
      if (edits.length > 0) refuseDoubtful(view, views);
      return edits;
    };
    return registry.change(checked, use);
  }

  /** Observes the machines before the first change; resolves with the result of `use` if there is nothing to change. */
  async #look<T>(
    decide: Decide,
    use: (after: RegistryView) => T,
  ): Promise<{ readonly result: T } | undefined> {
    const { registry, early, machines } = this.#ports;
    const observing = early && this.#observeRest(asProposed(machines), { names: early, digests: true });
    // The pass reports an error, too.
    observing?.catch(() => undefined);
    type Change = { readonly names: readonly string[]; readonly rest: readonly Machine[] };
    type First = { readonly result: T } | Change;
    const first = await registry.read((view): First => {
      const edits = decide(view);
      return edits.length === 0
        ? { result: use(view) }
        : { names: unitsOf(edits), rest: clusterMachines(view, machines) };
    });
    if ('result' in first) return first;
    await observing;
    if ((await this.seen()) === undefined)
      await this.#observeRest(first.rest, { names: first.names, digests: true });
    this.#hasLooked = true;
    return undefined;
  }

  /** Observes the machines that have not been observed yet. */
  async #observeRest(machines: readonly Machine[], request: ObserveRequest): Promise<void> {
    const rest = machines.filter((machine) => this.#firstView(machine) === undefined);
    await Promise.all(
      rest.map(async (machine) => {
        const session = this.#open(machine);
        const observation = session.ask(observeQuery(request));
        this.#early.get(machine.name)?.session.close();
        this.#early.set(machine.name, { machine, session, request, observation });
        await observation.catch((error: unknown) => {
          if (!isFleetError(error)) throw error;
        });
      }),
    );
  }

  #connect(machine: Machine): MachineSession {
    const early = this.#early.get(machine.name);
    if (early === undefined || early.machine.address !== machine.address) return this.#open(machine);
    this.#early.delete(machine.name);
    return withEarly(early);
  }

  /** Undefined also if it was another address that answered. */
  #firstView({ name, address }: Machine): MachineView | undefined {
    const view = this.#firstViews.get(name);
    return view?.machine.address === address ? view : undefined;
  }

  /** A session whose first answer includes the highest token of the machine. */
  #open(machine: Machine): MachineSession {
    const session = this.#ports.driver.connect(machine);
    return observedBy(session, async (query) => {
      if (this.#firstView(machine)?.observation !== undefined) return session.ask(query);
      try {
        const observation = await session.ask(observeQuery({ ...query.request, token: true }));
        const { id } = observation;
        this.#firstViews.set(machine.name, { machine, id, observation, backSince: undefined });
        return observation;
      } catch (error) {
        // There is no second attempt, because the pass measures how long the machine is unreachable.
        if (isFleetError(error) && this.#firstView(machine) === undefined) {
          const { code, message, hint } = error;
          const unreachable = { since: this.#ports.clock.now(), code, message, hint };
          this.#firstViews.set(machine.name, { machine, id: undefined, unreachable });
        }
        throw error;
      }
    });
  }
}

function unitsOf(edits: readonly Edit[]): readonly string[] {
  return edits.flatMap((edit) => {
    if (edit.kind === 'put-unit') return [edit.unit.name];
    return edit.kind === 'delete-unit' ? [edit.name] : [];
  });
}
