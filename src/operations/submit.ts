import { dirname, join } from 'node:path';
import { isFleetError } from '../base/errors.ts';
import { groupsIn } from '../cluster/held.ts';
import type { DesiredUnit } from '../cluster/snapshot.ts';
import type { TargetState } from '../cluster/unit-state.ts';
import type { RolloutLimits } from '../plan/rollout.ts';
import type { Edit } from '../registry/edit.ts';
import type { Registry } from '../registry/registry.ts';
import { RegistryView } from '../registry/view.ts';
import { triggeredUnit } from '../unit/dependencies.ts';
import { parseUnitFile } from '../unit/unit-file.ts';
import type { UnitName } from '../unit/unit-name.ts';
import { type Aim, Draft, draftOf, type UnitFiles } from './draft.ts';
import { type LocalUnit, readLocalUnits } from './local-file.ts';

/** The units to submit, as names or paths; relative paths are relative to `cwd`. */
export type SubmitRequest = {
  readonly units: readonly string[];
  readonly cwd: string;
  /** Store local files that differ from the registry; the instances of a template follow it. */
  readonly replace: boolean;
  /** Stop runs with a replaced text that a pass would not stop. */
  readonly now?: boolean;
  /** Try the texts of held units again. */
  readonly retry?: boolean;
  /** What the command gives for rollouts, in place of the options of the units. */
  readonly limits?: RolloutLimits;
  /** The limit of the wait for leases for started fenced units, in ms; 0 by default. */
  readonly leaseWaitMs?: number;
};

/** The result of a submission; `units` are the named units, as the registry has them now. */
export type Submission = Readonly<
  Pick<Draft, 'created' | 'replaced' | 'companions' | 'problems' | 'differing' | 'replacing' | 'templates'>
> & {
  readonly units: readonly DesiredUnit[];
  /** All units that were named or whose text was replaced, as stored. */
  readonly stored: readonly DesiredUnit[];
  /** The registry afterwards, as far as it was read. */
  readonly registry: RegistryView;
};

/**
 * Stores unit files in the registry, in one change. A unit that the registry has already stays unchanged, unless `replace`
 * is set. `aim` gives each unit its target state in the same change. A unit with a loaded or launched trigger becomes
 * `loaded` at least; if the registry does not have it, its file is searched beside that of the trigger.
 */
export async function submit(
  registry: Registry,
  { units, cwd, replace }: SubmitRequest,
  aim?: Aim,
): Promise<Submission> {
  const locals = await readLocalUnits(units, cwd);
  return submitFiles(registry, { locals, replace, aim, companions: await readCompanions(locals) });
}

/** A request for one unit: a text, a target state, or both. */
export type UnitRequest = {
  readonly name: UnitName;
  /** Undefined to keep the text of a unit that the registry has. */
  readonly text: string | undefined;
  /** Undefined to keep it; for a new unit it is then `inactive`. */
  readonly target: TargetState | undefined;
  /** The name of the source of the text in messages. */
  readonly source: string;
};

/** Stores a request and does not wait for machines: a controller, which watches the registry, applies it. */
export function requestUnit(
  registry: Registry,
  { name, text, target, source }: UnitRequest,
): Promise<Submission> {
  const own = text === undefined ? undefined : { path: source, content: text };
  const local = { name, own, template: undefined, beside: new Set<string>() };
  return submitFiles(registry, { locals: [local], replace: true, aim: (unit) => target ?? unit.target });
}

/** Without `aim`, which a pass follows, only the documents about these units are read. */
export async function submitFiles(registry: Registry, files: UnitFiles): Promise<Submission> {
  let draft = new Draft(new RegistryView(0, []), files);
  const decide = (view: RegistryView): readonly Edit[] => {
    draft = draftOf(files.aim === undefined ? view : view.whole, files);
    return draft.changes().map((unit) => ({ kind: 'put-unit', unit }));
  };
  return registry.change(decide, (after) => {
    const named = (names: Iterable<string>): readonly DesiredUnit[] =>
      [...names].flatMap((name) => after.asWritten.units.get(name) ?? []);
    const { names, created, replaced, companions, problems, differing, replacing, templates } = draft;
    const stored = named(new Set([...names, ...replaced]));
    const found = { problems, differing, replacing, templates };
    return { units: named(names), stored, registry: after, created, replaced, companions, ...found };
  });
}

/**
 * Deletes a unit. The next pass of a controller stops and removes its copies, and those on unreachable machines when they
 * are back. Resolves with false for a unit that the registry does not have.
 */
export async function forgetUnit(registry: Registry, name: string): Promise<boolean> {
  let known = false;
  await registry.update((view) => {
    known = view.units.has(name);
    return known ? [{ kind: 'delete-unit', name }] : [];
  });
  return known;
}

/**
 * The edits that let passes try the texts of held units again, of those in `names` and of the instances with the same text.
 * None for a unit that is not held, unless a machine may have reverted its text.
 */
export function releaseEdits(names: Iterable<string>, view: RegistryView): readonly Edit[] {
  const units = [...names].flatMap((name) => view.units.get(name) ?? []);
  const group = units.flatMap(groupsIn(view.units.values()));
  const isHeld = ({ held, placement }: DesiredUnit): boolean =>
    held !== undefined || placement.confirmMs !== undefined;
  const held = new Set(group.filter(isHeld).map(({ name }) => name));
  return [...held].map((unit) => ({ kind: 'release-text', unit }));
}

/** The files of the units that triggers among `locals` start, if they exist beside the files of the triggers. */
async function readCompanions(locals: readonly LocalUnit[]): Promise<readonly LocalUnit[]> {
  const named = new Set(locals.map(({ name }) => name.text));
  const paths = locals.flatMap(({ name, own, template }) => {
    const file = own ?? template;
    if (file === undefined || typeof file.content !== 'string') return [];
    const started = triggeredBy(name, file.content);
    return started === undefined || named.has(started) ? [] : [join(dirname(file.path), started)];
  });
  const found = await Promise.all([...new Set(paths)].map((path) => readLocalUnits([path], '/')));
  return found.flat().filter(({ own, template }) => own !== undefined || template !== undefined);
}

/** The unit that a trigger with that text starts; undefined for an invalid text, which is reported elsewhere. */
function triggeredBy(name: UnitName, text: string): string | undefined {
  try {
    return triggeredUnit(parseUnitFile(text), name);
  } catch (error) {
    if (!isFleetError(error)) throw error;
    return undefined;
  }
}
