import { FleetError, isFleetError } from '../base/errors.ts';
import type { DesiredUnit } from '../cluster/snapshot.ts';
import type { TargetState } from '../cluster/target-state.ts';
import type { Edit } from '../registry/edit.ts';
import type { Registry } from '../registry/registry.ts';
import type { RegistryView } from '../registry/view.ts';
import { isTemplate, parseUnitName, templateOf } from '../unit/unit-name.ts';
import { findUnit, withText } from './find-unit.ts';
import { type LocalUnit, readLocalUnits } from './local-file.ts';
import { refuseCircle } from './replaces.ts';
import type { DifferingFile, UnitProblem } from './unit-result.ts';

/** What to submit: units as names or paths, and where relative paths start. */
export type SubmitRequest = {
  readonly units: readonly string[];
  readonly cwd: string;
  /** Take local files that differ from the registry; the instances of a template follow it. */
  readonly replace: boolean;
  /** How long a controller may take to give leases for fenced units that are started, in ms; 0 unless given. */
  readonly leaseWaitMs?: number;
};

/** What submitting did: the units that were named, as the registry has them now. */
export type Submission = {
  readonly units: readonly DesiredUnit[];
  /** The names among them that were not there before. */
  readonly created: ReadonlySet<string>;
  /** Units whose text was replaced, instances of a replaced template among them. */
  readonly replaced: ReadonlySet<string>;
  /** Units that have to go because one that was raised has them in Replaces=. */
  readonly outgoing: ReadonlySet<string>;
  readonly problems: readonly UnitProblem[];
  /** Files that differ and were not taken. */
  readonly differing: readonly DifferingFile[];
};

/**
 * Puts unit files into the registry, all in one change. A unit it has already stays as it is, unless its text
 * is to be replaced. `aim` gives each unit its target state in the same change; the units that it replaces
 * (Replaces=) become inactive with it.
 */
export async function submit(
  registry: Registry,
  { units, cwd, replace }: SubmitRequest,
  aim: (unit: DesiredUnit) => TargetState = (unit) => unit.target,
): Promise<Submission> {
  return submitFiles(registry, await readLocalUnits(units, cwd), replace, aim);
}

/** The same for files that have been read already. */
export async function submitFiles(
  registry: Registry,
  locals: readonly LocalUnit[],
  replace: boolean,
  aim: (unit: DesiredUnit) => TargetState,
): Promise<Submission> {
  let draft = new Draft(replace, aim);
  const view = await registry.update((current) => {
    draft = new Draft(replace, aim);
    for (const local of locals) draft.add(local, current);
    draft.sendAway(current);
    return draft.edits();
  });
  const { created, replaced, outgoing, problems, differing } = draft;
  return {
    units: draft.names.flatMap((name) => view.units.get(name) ?? []),
    created,
    replaced,
    outgoing,
    problems,
    differing,
  };
}

/** What one view of the registry makes of the request. */
class Draft {
  readonly names: string[] = [];
  readonly created = new Set<string>();
  readonly replaced = new Set<string>();
  readonly outgoing = new Set<string>();
  readonly problems: UnitProblem[] = [];
  readonly differing: DifferingFile[] = [];
  readonly #changed = new Map<string, DesiredUnit>();
  readonly #replace: boolean;
  readonly #aim: (unit: DesiredUnit) => TargetState;

  constructor(replace: boolean, aim: (unit: DesiredUnit) => TargetState) {
    this.#replace = replace;
    this.#aim = aim;
  }

  add(local: LocalUnit, registry: RegistryView): void {
    const name = local.name.text;
    const found = findUnit(local, registry);
    if (found.kind === 'problem') {
      this.problems.push({ unit: name, error: found.error });
      return;
    }
    if (found.kind === 'new' && this.#isCircular(found.unit, registry)) return;
    this.names.push(name);
    if (found.kind === 'new') this.created.add(name);
    const target = this.#aim(found.unit);
    if (found.kind === 'new' || target !== found.unit.target)
      this.#changed.set(name, { ...found.unit, target });
    if (found.kind === 'known' && found.differing !== undefined) this.#differs(found.differing, registry);
  }

  /**
   * What comes, or gets another text, ends what it replaces. What is there already has done so; only what is still
   * on its way out belongs to the pass.
   */
  sendAway(registry: RegistryView): void {
    const lookup = (name: string) => this.#latest(name, registry);
    for (const name of new Set([...this.names, ...this.replaced])) {
      const unit = lookup(name);
      const wasThere = (registry.units.get(name)?.target ?? 'inactive') !== 'inactive';
      if (unit === undefined || unit.target === 'inactive') continue;
      for (const old of unit.placement.replaces.flatMap((each) => lookup(each) ?? [])) {
        const isLeaving = old.target === 'inactive' && old.machine !== undefined;
        const hasToGo = old.target !== 'inactive' && (!wasThere || this.replaced.has(name));
        if (isLeaving || hasToGo) this.outgoing.add(old.name);
        if (hasToGo) this.#end(old, name);
      }
    }
  }

  #end(old: DesiredUnit, by: string): void {
    this.#changed.set(old.name, { ...old, target: 'inactive' });
    if (!this.names.includes(old.name)) return;
    const message = `Cannot use unit "${old.name}" together with "${by}", which replaces it`;
    const error = new FleetError('placement', message, { hint: 'Name one of the two' });
    this.problems.push({ unit: old.name, error });
  }

  #latest(name: string, registry: RegistryView): DesiredUnit | undefined {
    return this.#changed.get(name) ?? registry.units.get(name);
  }

  #isCircular(unit: DesiredUnit, registry: RegistryView): boolean {
    try {
      refuseCircle(unit, (name) => this.#latest(name, registry));
      return false;
    } catch (error) {
      if (!isFleetError(error)) throw error;
      this.problems.push({ unit: unit.name, error });
      return true;
    }
  }

  edits(): readonly Edit[] {
    return [...this.#changed.values()].map((unit) => ({ kind: 'put-unit', unit }));
  }

  #differs(file: DifferingFile, registry: RegistryView): void {
    if (!this.#replace) {
      this.differing.push(file);
      return;
    }
    for (const unit of [file.unit, ...instancesOf(file.unit, registry)])
      this.#replaceText(unit, file, registry);
  }

  #replaceText(name: string, file: DifferingFile, registry: RegistryView): void {
    const unit = this.#latest(name, registry);
    if (unit === undefined) return;
    try {
      const next = withText(unit, file);
      if (this.#isCircular(next, registry)) return;
      this.#changed.set(name, next);
      this.replaced.add(name);
    } catch (error) {
      if (!isFleetError(error)) throw error;
      this.problems.push({ unit: name, error });
    }
  }
}

/** The instances that have the text of a template; one that was submitted from a file of its own keeps that. */
export function instancesOf(name: string, registry: RegistryView): readonly string[] {
  const template = registry.units.get(name);
  if (template === undefined || !isTemplate(parseUnitName(name))) return [];
  return [...registry.units.values()]
    .filter((unit) => unit.digest === template.digest && templateOf(parseUnitName(unit.name))?.text === name)
    .map((unit) => unit.name);
}
