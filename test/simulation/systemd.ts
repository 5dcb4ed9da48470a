import { sha256 } from '../../src/base/hash.ts';
import type { UnitOutcome } from '../../src/cluster/failure.ts';
import type { Observation } from '../../src/cluster/snapshot.ts';
import { isUp, type SystemdState, type UnitRecord } from '../../src/cluster/unit-state.ts';
import type { Machine } from '../../src/machine/machine.ts';
import type { Step, UnitChange } from '../../src/plan/step.ts';
import type { ObserveRequest } from '../../src/systemd/observation.ts';
import { idOf, NOW, systemdState } from '../support/builders.ts';

/** A unit in systemd: its file and record, its state, and its run. */
type SimUnit = {
  text: string | undefined;
  record: UnitRecord | undefined;
  links: readonly string[];
  active: 'inactive' | 'active' | 'activating' | 'failed';
  run: number;
};

/** The folders of links that have the meaning of an option. */
const FOLDERS = { Wants: 'wants', Requires: 'requires', Upholds: 'upholds' } as const;

/** The words of an option in a unit file. */
function words(text: string, option: string): readonly string[] {
  const [own = ''] = text.split('[X-Fleet]');
  return own
    .split('\n')
    .filter((line) => line.startsWith(`${option}=`))
    .flatMap((line) => line.slice(option.length + 1).split(' '));
}

/** A machine whose systemd has jobs, dependencies and triggers, written from systemd.unit(5) and not from the code of fleet. */
export class SimSystemd {
  readonly machine: Machine;
  readonly units = new Map<string, SimUnit>();
  isUnreachable = false;
  /** Words of texts that fail on this machine alone. */
  readonly broken = new Set<string>();
  /** Whether a change waits until units that have started have settled: one with `late` in its text fails by then. */
  settles: boolean = true;
  #cluster: string | undefined;
  readonly #removed = new Map<string, number>();
  #runs = 0;
  #isUpholding: boolean = false;

  constructor(machine: Machine) {
    this.machine = machine;
  }

  observe({ names }: ObserveRequest): Observation {
    const known = [...this.units].filter(([, { record }]) => record !== undefined).map(([name]) => name);
    return {
      id: idOf(this.machine.name),
      cluster: this.#cluster,
      bootId: 'boot',
      uptimeSeconds: 1000,
      clock: NOW,
      units: [...new Set([...known, ...names])].map((name) => {
        const unit = this.units.get(name);
        const digest = unit?.text === undefined ? undefined : sha256(unit.text);
        return { name, state: this.state(name), record: unit?.record, digest, links: unit?.links ?? [] };
      }),
    };
  }

  state(name: string): SystemdState {
    const unit = this.units.get(name);
    if (unit?.text === undefined) return systemdState('unknown');
    const type = unit.text.includes('Type=oneshot') ? 'oneshot' : 'simple';
    const common = { type, since: NOW - 60_000, invocation: unit.run === 0 ? '' : `run ${unit.run}` };
    if (unit.active === 'inactive') return systemdState('dead', common);
    if (unit.active === 'activating') return systemdState('starting', common);
    return systemdState(unit.active === 'failed' ? 'failed' : 'running', common);
  }

  runOf(name: string): number | undefined {
    const unit = this.units.get(name);
    return unit !== undefined && this.#isLive(name) ? unit.run : undefined;
  }

  /** The steps of `change.sh`: guards, stops, files, one reload, starts. */
  change(changes: readonly UnitChange[], clusterId: string): readonly UnitOutcome[] {
    this.#cluster ??= clusterId;
    const { name: machine } = this.machine;
    const failures = new Map<string, UnitOutcome['failure']>();
    for (const { unit, token, obstacle } of changes) {
      const seen = this.units.get(unit)?.record?.token ?? this.#removed.get(unit) ?? 0;
      const stale = seen > token ? ({ code: 'stale', token, seen } as const) : undefined;
      if (obstacle ?? stale) failures.set(unit, obstacle ?? stale);
    }
    const possible = changes.filter(({ unit }) => !failures.has(unit));
    const has = ({ steps }: UnitChange, kind: Step['kind']): boolean =>
      steps.some((step) => step.kind === kind);
    const stops = possible.filter((change) => has(change, 'stop'));
    // Links through which systemd would start the unit again are removed before the stop.
    for (const { unit, steps } of stops.filter((change) => !has(change, 'start') || has(change, 'write'))) {
      const links = steps.flatMap((step) => (step.kind === 'record' ? step.links : []));
      this.#at(unit).links = links.filter((link) => !link.includes('.upholds/'));
    }
    this.#stopAll(stops.map(({ unit }) => unit));
    for (const { unit } of stops) {
      if (this.#isLive(unit))
        failures.set(unit, { code: 'step', step: 'stop', detail: 'it is still active' });
    }
    for (const change of possible.filter(({ unit }) => !failures.has(unit))) this.#install(change);
    const starts = possible.filter((change) => has(change, 'start') && !failures.has(change.unit));
    for (const { unit } of starts) this.start(unit);
    for (const { unit } of possible.filter((change) => has(change, 'restart') && !failures.has(change.unit)))
      this.#restart(unit);
    // The start of a oneshot ends when it has run.
    for (const { unit } of starts) this.#finish(unit);
    return changes.map((change) => {
      const { unit } = change;
      const mustRun = has(change, 'start') || has(change, 'restart') || has(change, 'watch');
      const there = this.#at(unit);
      if (this.settles && mustRun && there.active === 'active' && there.text?.includes('late'))
        there.active = 'failed';
      const state = this.state(unit);
      const notUp =
        mustRun && !isUp(state) ? ({ code: 'not-up', state, detail: '', journal: [] } as const) : undefined;
      return { unit, machine, state, failure: failures.get(unit) ?? notUp };
    });
  }

  /** `systemctl start`: it also starts required and wanted units, and stops conflicting ones. */
  start(name: string, under: ReadonlySet<string> = new Set()): boolean {
    const text = this.units.get(name)?.text;
    // systemd creates a slice without a file, and ignores a mount without one.
    if (text === undefined) return /\.(slice|mount)$/.test(name);
    if (under.has(name) || this.#isLive(name)) return true;
    const along = new Set([...under, name]);
    if (!this.#named(name, ['Requisite']).every((other) => this.#isLive(other))) return false;
    const required = [...this.#named(name, ['Requires', 'BindsTo', 'Slice', 'RequiresMountsFor'])];
    if (!required.every((other) => this.start(other, along))) return false;
    for (const other of this.#named(name, ['Wants', 'Sockets'])) this.start(other, along);
    this.#stopAll([...this.#named(name, ['Conflicts']), ...this.#naming(name, ['Conflicts'])]);
    const unit = this.#at(name);
    unit.run = ++this.#runs;
    const isBad = text.includes('/bin/false') || [...this.broken].some((word) => text.includes(word));
    unit.active = isBad ? 'failed' : text.includes('Type=oneshot') ? 'activating' : 'active';
    if (unit.active === 'active')
      for (const other of this.#named(name, ['Upholds'])) this.start(other, along);
    return unit.active !== 'failed';
  }

  /** A person stops the unit. */
  stop(name: string): void {
    this.#stopAll([name]);
  }

  /** The process of the unit dies. */
  kill(name: string): void {
    if (!this.#isLive(name)) return;
    this.#at(name).active = 'failed';
    this.#stopAll([...this.#naming(name, ['BindsTo'])]);
    for (const other of this.#named(name, ['Upholds'])) this.start(other);
  }

  /** A timer elapses, or a connection arrives. */
  trigger(name: string): void {
    const { text } = this.#at(name);
    if (text === undefined || !this.#isLive(name)) return;
    const [named] = [...words(text, 'Unit'), ...words(text, 'Service')];
    if (/\.(timer|socket)$/.test(name)) this.start(named ?? name.replace(/\.\w+$/, '.service'));
  }

  /** Every running oneshot ends. */
  finish(): void {
    for (const name of this.units.keys()) this.#finish(name);
  }

  #finish(name: string): void {
    const unit = this.#at(name);
    if (unit.active === 'activating') unit.active = 'inactive';
  }

  reboot(): void {
    for (const unit of this.units.values()) {
      unit.active = 'inactive';
      unit.run = 0;
    }
    for (const [name, { links }] of this.units)
      if (links.includes(`fleet.target.wants/${name}`)) this.start(name);
  }

  #install({ unit: name, token, steps }: UnitChange): void {
    const unit = this.#at(name);
    for (const step of steps) {
      if (step.kind === 'write') unit.text = step.text;
      if (step.kind === 'record') {
        unit.record = step.record;
        unit.links = step.links;
      }
      if (step.kind === 'remove') {
        this.units.delete(name);
        this.#removed.set(name, token);
      }
    }
  }

  #restart(name: string): void {
    const live = [...this.#takenDown([name])].filter((other) => this.#isLive(other));
    this.#stopAll([name]);
    this.start(name);
    for (const other of live) this.start(other);
  }

  #stopAll(names: readonly string[]): void {
    const down = [...names, ...this.#takenDown(names)];
    for (const name of down) if (this.#isLive(name)) this.#at(name).active = 'inactive';
    // Upholds= starts a unit again while its upholder is active. systemd stops two units that conflict in this way at their
    // start limit; here they stay as they are.
    if (this.#isUpholding) return;
    this.#isUpholding = true;
    for (const [name] of this.units) {
      if (!this.#isLive(name)) continue;
      for (const other of this.#named(name, ['Upholds'])) this.start(other);
    }
    this.#isUpholding = false;
  }

  #takenDown(names: readonly string[]): ReadonlySet<string> {
    const found = new Set<string>();
    const visit = (name: string): void => {
      const others = [
        ...this.#naming(name, [
          'Requires',
          'Requisite',
          'BindsTo',
          'PartOf',
          'StopPropagatedFrom',
          'Slice',
          'RequiresMountsFor',
        ]),
        ...this.#named(name, ['PropagatesStopTo']),
      ];
      for (const other of others) {
        if (found.has(other) || names.includes(other)) continue;
        found.add(other);
        visit(other);
      }
    };
    for (const name of names) visit(name);
    return found;
  }

  #isLive(name: string): boolean {
    const active = this.units.get(name)?.active;
    return active === 'active' || active === 'activating';
  }

  /** The units that `name` names in these options, or that are linked in its folders. */
  #named(name: string, options: readonly string[]): readonly string[] {
    const text = this.units.get(name)?.text;
    if (text === undefined) return [];
    const folders = Object.entries(FOLDERS).filter(([option]) => options.includes(option));
    const linked = [...this.units]
      .filter(([other, { links }]) => folders.some(([, f]) => links.includes(`${name}.${f}/${other}`)))
      .map(([other]) => other);
    const named = options.flatMap((option) => words(text, option));
    return [...named.map((word) => word.replace(/^\/(.*)/, '$1.mount')), ...linked];
  }

  /** The units that name `name` in these options. */
  #naming(name: string, options: readonly string[]): readonly string[] {
    return [...this.units.keys()].filter((other) => this.#named(other, options).includes(name));
  }

  #at(name: string): SimUnit {
    const unit = this.units.get(name) ?? {
      text: undefined,
      record: undefined,
      links: [],
      active: 'inactive' as const,
      run: 0,
    };
    this.units.set(name, unit);
    return unit;
  }
}
