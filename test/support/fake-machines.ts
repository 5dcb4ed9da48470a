import { FleetError } from '../../src/base/errors.ts';
import { sha256 } from '../../src/base/hash.ts';
import type { Confirmation } from '../../src/cluster/confirmation.ts';
import type { Failure, UnitOutcome } from '../../src/cluster/failure.ts';
import type { Lease, MachineBackup, MachineVitals, Observation } from '../../src/cluster/snapshot.ts';
import { isRunning, isUp, type SystemdState, type UnitRecord } from '../../src/cluster/unit-state.ts';
import { unreachableFailure } from '../../src/cluster/unreachable.ts';
import type { Machine } from '../../src/machine/machine.ts';
import type { Step, UnitChange } from '../../src/plan/step.ts';
import type { SystemdDriver } from '../../src/systemd/driver.ts';
import type { Examination, examineQuery } from '../../src/systemd/examination.ts';
import type { ObserveRequest, observeQuery } from '../../src/systemd/observation.ts';
import type {
  extendQuery,
  failedQuery,
  statusQuery,
  unitFileQuery,
  VerifyRequest,
  verifyQuery,
} from '../../src/systemd/queries.ts';
import { parseUnitName, templateOf } from '../../src/unit/unit-name.ts';
import { idOf, NOW, systemdState } from './builders.ts';
import { FakeJournal } from './fake-journal.ts';
import { answering } from './fake-session.ts';

/** How busy every machine is. */
const VITALS: MachineVitals = {
  systemd: '252',
  loadAverage: [0.1, 0.2, 0.3],
  memory: { totalBytes: 4 * 1024 ** 3, availableBytes: 2.5 * 1024 ** 3 },
};

/** A unit on a machine: its file, what fleet noted of it, what systemd says of it. */
export type FakeUnit = {
  text: string | undefined;
  record: UnitRecord | undefined;
  state: SystemdState;
  fence?: string | undefined;
  links?: readonly string[];
};

/** A machine on which all is well. */
export const HEALTHY: Examination = {
  uid: 0,
  machineId: '148a18ff6e954cd892dac9de9bb90d5a',
  systemd: { version: 252, state: 'running' },
  folders: ['/etc/systemd/system', '/var/lib/fleet', '/run/fleet'].map((folder) => ({
    folder,
    obstacle: undefined,
  })),
  absent: [],
  broken: [],
  cluster: undefined,
  clock: Math.floor(NOW / 1000),
  space: [{ folder: '/etc/systemd/system', kib: 1_000_000, inodes: 1000 }],
  journalObstacle: undefined,
  containers: [],
  unknown: [],
  occupied: [],
  altered: [],
};

/**
 * A machine in memory that executes steps and refuses what a real one refuses. What no plan may
 * ever ask for, such as removing a unit that runs, is an Error.
 */
export class FakeMachine {
  readonly machine: Machine;
  readonly id: string;
  cluster: string | undefined;
  /** Why it does not answer. */
  unreachable: FleetError | undefined;
  readonly units = new Map<string, FakeUnit>();
  /** What its clock says, in seconds, and the lease it has. */
  uptimeSeconds = 1000;
  lease: Lease | undefined;
  /** The changes that wait for a confirmation, and those that it has reverted, by unit. */
  readonly confirmations = new Map<string, Confirmation>();
  /** Tokens of units that were removed. */
  readonly removed = new Map<string, number>();
  readonly journal = new FakeJournal();
  /** How it is. */
  examination: Examination;
  /** Everything that was done here: `stop a.service`. */
  readonly log: string[] = [];
  /** How often it was looked at. */
  looks = 0;
  #runs = 0;

  constructor(machine: Machine) {
    this.machine = machine;
    this.id = idOf(machine.name);
    this.examination = { ...HEALTHY, machineId: this.id };
  }

  observe({ names, digests, backup = false, vitals = false, token = false }: ObserveRequest): Observation {
    this.looks++;
    const recorded = [...this.units].filter(([, { record }]) => record !== undefined).map(([name]) => name);
    return {
      ...(backup && { backup: this.#backup() }),
      ...(token && { token: this.#backup().token }),
      ...(vitals && { vitals: VITALS }),
      id: this.id,
      cluster: this.cluster,
      bootId: 'boot',
      uptimeSeconds: this.uptimeSeconds,
      ...(digests && { clock: NOW }),
      lease: this.lease,
      ...(this.confirmations.size > 0 && { confirmations: [...this.confirmations.values()] }),
      units: [...new Set([...recorded, ...names])].map((name) => {
        const unit = this.units.get(name);
        const text = unit?.text ?? this.#templateText(name);
        const digest = digests && unit !== undefined && text !== undefined ? sha256(text) : undefined;
        const state = unit?.state ?? systemdState('unknown');
        const fence = unit?.fence === undefined ? {} : { fence: sha256(unit.fence) };
        const links = unit?.links === undefined ? {} : { links: unit.links };
        return { name, state, record: unit?.record, digest, ...fence, ...links };
      }),
    };
  }

  /** The text of the template of an instance. */
  #templateText(name: string): string | undefined {
    return this.units.get(templateOf(parseUnitName(name))?.text ?? '')?.text;
  }

  extend(lease: Lease): boolean {
    if (lease.bootId !== 'boot' || lease.deadline <= this.uptimeSeconds) return false;
    if (lease.deadline > (this.lease?.deadline ?? 0)) this.lease = lease;
    return true;
  }

  /** systemd's complaints: `/bin/false` is not what anybody wants to run. */
  verify({ files, units }: VerifyRequest): readonly string[] {
    this.log.push(`verify ${units.join(' ')}`);
    return files
      .filter(({ name, text }) => units.includes(name) && text.includes('/bin/false'))
      .map(({ name }) => `${name}: Command /bin/false is not executable`);
  }

  change(changes: readonly UnitChange[], clusterId: string): readonly UnitOutcome[] {
    const { cluster } = this;
    const theirs = cluster !== undefined && cluster !== clusterId ? cluster : undefined;
    if (theirs === undefined) this.cluster = clusterId;
    return changes.map((change) => {
      const obstacle: Failure | undefined =
        theirs === undefined ? this.#obstacle(change) : { code: 'other-cluster', cluster: theirs };
      if (obstacle === undefined) for (const step of change.steps) this.#do(step, change);
      const state = this.units.get(change.unit)?.state ?? systemdState('unknown');
      const failure = obstacle ?? notUp(change, state);
      return { unit: change.unit, machine: this.machine.name, state, failure };
    });
  }

  #backup(): MachineBackup {
    const noted = [...this.units].flatMap(([name, { text, record }]) =>
      record === undefined ? [] : [{ name, text, token: record.token }],
    );
    return {
      texts: new Map(noted.flatMap(({ name, text }) => (text === undefined ? [] : [[name, text] as const]))),
      token: Math.max(0, ...noted.map(({ token }) => token), ...this.removed.values()),
    };
  }

  #obstacle({ unit, token, steps, obstacle }: UnitChange): Failure | undefined {
    if (obstacle !== undefined) return obstacle;
    const here = this.units.get(unit);
    const seen = here?.record?.token ?? this.removed.get(unit) ?? 0;
    if (seen > token) return { code: 'stale', token, seen };
    const text = here?.text ?? this.#templateText(unit);
    const isAdopted = steps.some(
      (step) => step.kind === 'adopt' && text !== undefined && step.record.digest === sha256(text),
    );
    if (here === undefined || here.record !== undefined || isAdopted) return undefined;
    return { code: 'foreign', path: here.state.fragment };
  }

  #do(step: Step, { unit, token, steps }: UnitChange): void {
    this.log.push(`${step.kind} ${unit}`);
    const here = this.units.get(unit) ?? {
      text: undefined,
      record: undefined,
      state: systemdState('unknown'),
    };
    switch (step.kind) {
      case 'stop':
        here.state = stopped(here.state);
        break;
      case 'write':
        here.text = step.text;
        // A unit that only its trigger starts keeps running with its old text.
        if (isRunning(here.state) && !steps.some(({ kind }) => kind === 'start')) break;
        if (isRunning(here.state)) throw new Error(`${unit} is replaced while it runs`);
        here.state = systemdState('dead', { fragment: `/etc/systemd/system/${unit}` });
        break;
      case 'adopt':
        if (here.record !== undefined) throw new Error(`${unit} has a record`);
        here.text ??= this.#templateText(unit);
        here.record = step.record;
        break;
      case 'record':
        if (here.text === undefined || sha256(here.text) !== step.record.digest)
          throw new Error(`${unit} is noted with a text that is not there`);
        here.record = step.record;
        here.fence = step.fence;
        here.links = step.links;
        this.confirmations.delete(unit);
        break;
      case 'start':
        if (here.text === undefined) throw new Error(`${unit} is started without a file`);
        if (here.fence !== undefined && step.under === undefined)
          throw new Error(`${unit} is started without a lease`);
        this.#runs += 1;
        here.state = started(unit, here.text, `run${this.#runs}`, here.state);
        break;
      case 'restart':
        if (!isUp(here.state)) throw new Error(`${unit} is restarted and does not run`);
        this.#runs += 1;
        here.state = started(unit, here.text ?? '', `run${this.#runs}`, systemdState('dead'));
        break;
      case 'arm':
      case 'watch':
      case 'check':
        return;
      case 'forbid':
        if (here.record !== undefined) throw new Error(`${unit} is forbidden where it is`);
        this.removed.set(unit, token);
        this.confirmations.delete(unit);
        return;
      case 'remove':
        if (isRunning(here.state)) throw new Error(`${unit} is removed while it runs`);
        this.removed.set(unit, token);
        this.units.delete(unit);
        this.confirmations.delete(unit);
        return;
    }
    this.units.set(unit, here);
  }
}

function stopped(state: SystemdState): SystemdState {
  return isRunning(state) ? { ...state, active: 'inactive', sub: 'dead', result: 'success' } : state;
}

/** The outcome of a unit that is started, by its text: /bin/false fails, a oneshot finishes, a timer waits, a condition fails. */
function started(unit: string, text: string, invocation: string, before: SystemdState): SystemdState {
  if (isUp(before) && before.active === 'active') return before;
  const changes = { invocation, fragment: `/etc/systemd/system/${unit}` };
  if (text.includes('ExecStart=/bin/false')) return systemdState('failed', changes);
  if (text.includes('ConditionPathExists=/nowhere')) return systemdState('dead', changes);
  if (text.includes('Type=oneshot')) return systemdState('finished', changes);
  return systemdState(unit.endsWith('.service') ? 'running' : 'waiting', changes);
}

function notUp({ steps }: UnitChange, state: SystemdState): Failure | undefined {
  if (!steps.some(({ kind }) => kind === 'start' || kind === 'restart') || isUp(state)) return undefined;
  return { code: 'not-up', state, detail: '', journal: ['it said this'] };
}

/** Machines by name, and the driver that reaches them. */
export type FakeMachines = {
  readonly driver: SystemdDriver;
  readonly machines: readonly Machine[];
  /** The machine of that name. */
  of(name: string): FakeMachine;
  /** Makes a machine unreachable, or lets it answer again. */
  disconnect(name: string, error?: FleetError | undefined): void;
};

export function fakeMachines(machines: readonly Machine[]): FakeMachines {
  const fakes = new Map(machines.map((machine) => [machine.name, new FakeMachine(machine)]));
  const of = (name: string): FakeMachine => {
    const fake = fakes.get(name);
    if (fake === undefined) throw new Error(`no machine ${name}`);
    return fake;
  };
  return {
    machines,
    of,
    disconnect: (name, error = new FleetError('ssh-timeout', `Cannot reach machine "${name}"`)) => {
      of(name).unreachable = error;
    },
    driver: {
      connect: ({ name, address }) => {
        // A machine keeps its address when it is renamed.
        const fake =
          fakes.get(name) ??
          [...fakes.values()].find(({ machine }) => machine.address === address) ??
          of(name);
        const answer = answering<
          | typeof observeQuery
          | typeof extendQuery
          | typeof statusQuery
          | typeof verifyQuery
          | typeof examineQuery
          | typeof unitFileQuery
          | typeof failedQuery
        >({
          failed: (units) => units.filter((unit) => fake.units.get(unit)?.state.active === 'failed'),
          observation: (request) => fake.observe(request),
          extension: (lease) => fake.extend(lease),
          status: ({ units, lines }) => units.map((unit) => `${unit} on ${name}, ${lines} lines`),
          verification: (request) => fake.verify(request),
          examination: () => fake.examination,
          'unit-file': (unit) => {
            const text = fake.units.get(unit)?.text;
            return text === undefined ? undefined : { path: `/etc/systemd/system/${unit}`, text };
          },
        });
        return {
          async ask(query) {
            // No machine answers before its caller continues.
            await Promise.resolve();
            if (fake.unreachable !== undefined) throw fake.unreachable;
            return answer(query);
          },
          async change(changes, clusterId) {
            if (fake.unreachable === undefined) return fake.change(changes, clusterId);
            const failure = unreachableFailure(fake.unreachable);
            return changes.map(({ unit }) => ({ unit, machine: name, state: undefined, failure }));
          },
          ended: new Promise<void>(() => undefined),
          close: () => undefined,
        };
      },
      journal: async ({ name }, request) => {
        const fake = of(name);
        if (fake.unreachable !== undefined) throw fake.unreachable;
        return fake.journal.read(request);
      },
      close: async () => undefined,
    },
  };
}
