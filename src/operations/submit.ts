import type { DesiredUnit } from '../cluster/snapshot.ts';
import type { TargetState } from '../cluster/target-state.ts';
import type { Edit, Registry } from '../registry/registry.ts';
import { findUnit } from './find-unit.ts';
import { readLocalUnits } from './local-file.ts';
import type { RequestResult, UnitProblem } from './unit-result.ts';

/** What submitting did: the units that the registry now has, as they are there. */
export type Submission = Pick<RequestResult, 'problems' | 'differing'> & {
  readonly units: readonly DesiredUnit[];
  /** The names among them that were not there before. */
  readonly created: ReadonlySet<string>;
};

/**
 * Puts unit files into the registry; a unit it has already stays as it is. `aim` gives each unit its target
 * state in the same step, or a FleetError that keeps it out.
 */
export async function submit(
  registry: Registry,
  arguments_: readonly string[],
  cwd: string,
  aim: (unit: DesiredUnit) => TargetState | UnitProblem['error'] = (unit) => unit.target,
): Promise<Submission> {
  const locals = await readLocalUnits(arguments_, cwd);
  let problems: UnitProblem[] = [];
  let differing: { unit: string; path: string }[] = [];
  let accepted: string[] = [];
  let created = new Set<string>();
  const view = await registry.update((current) => {
    [problems, differing, accepted, created] = [[], [], [], new Set()];
    return locals.flatMap((local): readonly Edit[] => {
      const unit = local.name.text;
      const found = findUnit(local, current);
      if (found.kind === 'problem') return refuse(problems, unit, found.error);
      const target = aim(found.unit);
      if (target instanceof Error) return refuse(problems, unit, target);
      if (found.kind === 'known' && found.differs !== undefined)
        differing.push({ unit, path: found.differs });
      accepted.push(unit);
      if (found.kind === 'new') created.add(unit);
      else if (found.unit.target === target) return [];
      return [{ kind: 'put-unit', unit: { ...found.unit, target } }];
    });
  });
  const units = accepted.flatMap((name) => view.units.get(name) ?? []);
  return { units, created, problems, differing };
}

function refuse(problems: UnitProblem[], unit: string, error: UnitProblem['error']): readonly Edit[] {
  problems.push({ unit, error });
  return [];
}
