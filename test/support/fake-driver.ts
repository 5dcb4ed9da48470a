import { FleetError } from '../../src/base/errors.ts';
import type { Failure, UnitOutcome } from '../../src/cluster/failure.ts';
import type { Machine } from '../../src/machine/machine.ts';
import type { UnitChange } from '../../src/plan/step.ts';
import type { MachineSession, SystemdDriver } from '../../src/systemd/driver.ts';
import type { observeQuery } from '../../src/systemd/observation.ts';
import { FakeMachine } from './fake-machines.ts';
import { answering } from './fake-session.ts';

/** What can go wrong with one machine. */
export type Trouble = {
  /** Why it cannot be reached. */
  silent?: FleetError | undefined;
  /** It takes the connection, and then becomes unreachable. */
  silentOnObserve?: FleetError;
  /** The connection is lost while it is changed; `after` its changes were made, or `before`. */
  lostOnChange?: 'before' | 'after';
  /** Its machine id, when it is not its own. */
  id?: string;
  /** Units that fail, with nothing done. */
  readonly failing: Map<string, Failure>;
};

/**
 * A driver whose machines are in memory. It takes notes of every session, and of every call that the contract of
 * SystemdDriver forbids: see `complaints`.
 */
export class FakeDriver implements SystemdDriver {
  readonly complaints: string[] = [];
  /** Everything that happened, in order: `connect m1`, `observe m1`, `change m1 a.service`, `close m1`. */
  readonly log: string[] = [];
  readonly #machines: ReadonlyMap<string, FakeMachine>;
  readonly #troubles: ReadonlyMap<string, Trouble>;

  /** With `other`, the machines of that driver, as another process would reach them. */
  constructor(machines: readonly Machine[], other?: FakeDriver) {
    this.#machines =
      other === undefined
        ? new Map(machines.map((machine) => [machine.name, new FakeMachine(machine)]))
        : other.#machines;
    this.#troubles = new Map(machines.map(({ name }) => [name, { failing: new Map() }]));
  }

  of(name: string): FakeMachine {
    return found(this.#machines, name);
  }

  trouble(name: string): Trouble {
    return found(this.#troubles, name);
  }

  /** Makes machines unreachable. */
  disconnect(...names: readonly string[]): void {
    for (const name of names) {
      this.trouble(name).silent = new FleetError('ssh-timeout', `Cannot reach machine "${name}"`, {
        hint: 'Wait',
      });
    }
  }

  /** Lets machines answer again. */
  heal(...names: readonly string[]): void {
    for (const name of names) this.trouble(name).silent = undefined;
  }

  connect({ name }: Machine): MachineSession {
    return fakeSession(this, this.of(name));
  }

  async journal(): Promise<never> {
    return this.complain('a pass read a journal');
  }

  async close(): Promise<void> {
    this.complain('a pass closed the driver, which belongs to its caller');
  }

  complain(what: string): never {
    this.complaints.push(what);
    throw new Error(what);
  }

  /** How often each machine was connected to. */
  connections(): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const line of this.log.filter((entry) => entry.startsWith('connect '))) {
      const name = line.slice('connect '.length);
      counts[name] = (counts[name] ?? 0) + 1;
    }
    return counts;
  }

  /** Sessions that are open now. */
  openSessions(): number {
    const count = (verb: string): number => this.log.filter((line) => line.startsWith(`${verb} `)).length;
    return count('connect') - count('close');
  }
}

function fakeSession(driver: FakeDriver, machine: FakeMachine): MachineSession {
  const { name } = machine.machine;
  let state: 'new' | 'observed' | 'closed' = 'new';
  const complain = (what: string): never => driver.complain(`a session with ${name} was ${what}`);
  const expect = (what: string, ...states: readonly (typeof state)[]): void => {
    if (!states.includes(state)) complain(`${what} while ${state}`);
  };
  return {
    ask: answering<typeof observeQuery>(
      {
        observation(request) {
          expect('observed', 'new');
          const trouble = driver.trouble(name);
          if (trouble.silent !== undefined) throw trouble.silent;
          state = 'observed';
          driver.log.push(`connect ${name}`);
          if (trouble.silentOnObserve !== undefined) throw trouble.silentOnObserve;
          driver.log.push(`observe ${name}`);
          const observation = machine.observe(request);
          return { ...observation, id: trouble.id ?? observation.id };
        },
      },
      ({ kind }) => complain(`asked for its ${kind}`),
    ),
    async change(changes, clusterId) {
      expect('changed', 'observed');
      if (changes.length === 0) complain('changed with nothing to change');
      driver.log.push(`change ${name} ${changes.map(({ unit }) => unit).join(' ')}`);
      const { lostOnChange, failing } = driver.trouble(name);
      const possible = changes
        .filter(({ unit }) => !failing.has(unit))
        .map((change) => skipRepeated(change, machine));
      const outcomes = lostOnChange === 'before' ? [] : machine.change(possible, clusterId);
      const lost: Failure = {
        code: 'unreachable',
        message: `Machine "${name}" is lost`,
        hint: undefined,
        mayBeDown: true,
      };
      return changes.map(({ unit }): UnitOutcome => {
        const outcome = outcomes.find((entry) => entry.unit === unit);
        const failure = lostOnChange === undefined ? failing.get(unit) : lost;
        return failure === undefined && outcome !== undefined
          ? outcome
          : { unit, machine: name, state: undefined, failure };
      });
    },
    ended: new Promise<void>(() => undefined),
    close() {
      if (state === 'closed') complain('closed twice');
      if (state === 'observed') driver.log.push(`close ${name}`);
      state = 'closed';
    },
  };
}

/** The same decision may have been carried out meanwhile: bytes that are there already change nothing. */
function skipRepeated(change: UnitChange, { units }: FakeMachine): UnitChange {
  const text = units.get(change.unit)?.text;
  return { ...change, steps: change.steps.filter((step) => step.kind !== 'write' || step.text !== text) };
}

function found<T>(entries: ReadonlyMap<string, T>, name: string): T {
  const entry = entries.get(name);
  if (entry === undefined) throw new Error(`no machine ${name}`);
  return entry;
}
