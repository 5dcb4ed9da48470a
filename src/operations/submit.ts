import { isFleetError } from '../base/errors.ts';
import type { DesiredUnit } from '../cluster/snapshot.ts';
import type { TargetState } from '../cluster/target-state.ts';
import type { Edit, Registry } from '../registry/registry.ts';
import type { RegistryView } from '../registry/view.ts';
import { isTemplate, parseUnitName, templateOf } from '../unit/unit-name.ts';
import { findUnit, withText } from './find-unit.ts';
import { type LocalUnit, readLocalUnits } from './local-file.ts';
import type { DifferingFile, UnitProblem } from './unit-result.ts';

/** What to submit: units as names or paths, and where relative paths start. */
export type SubmitRequest = {
  readonly units: readonly string[];
  readonly cwd: string;
  /** Take local files that differ from the registry; the instances of a template follow it. */
  readonly replace: boolean;
};

/** What submitting did: the units that were named, as the registry has them now. */
export type Submission = {
  readonly units: readonly DesiredUnit[];
  /** The names among them that were not there before. */
  readonly created: ReadonlySet<string>;
  /** Units whose text was replaced, instances of a replaced template among them. */
  readonly replaced: ReadonlySet<string>;
  readonly problems: readonly UnitProblem[];
  /** Files that differ and were not taken. */
  readonly differing: readonly DifferingFile[];
};

/**
 * Puts unit files into the registry, all in one change. A unit it has already stays as it is, unless its text
 * is to be replaced. `aim` gives each unit its target state in the same change.
 */
export async function submit(
  registry: Registry,
  { units, cwd, replace }: SubmitRequest,
  aim: (unit: DesiredUnit) => TargetState = (unit) => unit.target,
): Promise<Submission> {
  const locals = await readLocalUnits(units, cwd);
  let draft = new Draft(replace, aim);
  const view = await registry.update((current) => {
    draft = new Draft(replace, aim);
    for (const local of locals) draft.add(local, current);
    return draft.edits();
  });
  const { created, replaced, problems, differing } = draft;
  return {
    units: draft.names.flatMap((name) => view.units.get(name) ?? []),
    created,
    replaced,
    problems,
    differing,
  };
}

/** What one view of the registry makes of the request. */
class Draft {
  readonly names: string[] = [];
  readonly created = new Set<string>();
  readonly replaced = new Set<string>();
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
    this.names.push(name);
    if (found.kind === 'new') this.created.add(name);
    const target = this.#aim(found.unit);
    if (found.kind === 'new' || target !== found.unit.target)
      this.#changed.set(name, { ...found.unit, target });
    if (found.kind === 'known' && found.differing !== undefined) this.#differs(found.differing, registry);
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
    const unit = this.#changed.get(name) ?? registry.units.get(name);
    if (unit === undefined) return;
    try {
      this.#changed.set(name, withText(unit, file));
      this.replaced.add(name);
    } catch (error) {
      if (!isFleetError(error)) throw error;
      this.problems.push({ unit: name, error });
    }
  }
}

/** The instances of a template in the registry; none for a unit that is no template. */
export function instancesOf(name: string, registry: RegistryView): readonly string[] {
  if (!isTemplate(parseUnitName(name))) return [];
  return [...registry.units.keys()].filter((unit) => templateOf(parseUnitName(unit))?.text === name);
}
