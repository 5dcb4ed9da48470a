import { FleetError } from '../../base/errors.ts';
import type { DesiredUnit } from '../../cluster/snapshot.ts';
import type { RolloutLimits } from '../../plan/rollout.ts';
import { heldText } from '../../registry/kept-texts.ts';
import type { RegistryView } from '../../registry/view.ts';
import { differOnlyInFolderOptions } from '../../unit/folder-options.ts';
import { isTemplateName } from '../../unit/unit-name.ts';
import { contradictionsOf } from '../contradictions.ts';
import { type Aim, type Draft, draftOf } from '../draft.ts';
import type { LocalUnit } from '../local-file.ts';
import { hasInstall } from '../set-target-state.ts';
import type { DifferingFile, UnitProblem } from '../unit-result.ts';
import { templateNameOf, type WantedSet } from './wanted.ts';

/** The treatment of units that belong to another set, or that the folder lacks. */
export type SetOptions = {
  /** Take over units of other sets. */
  readonly adopt: boolean;
  /** End the units of the set that the folder lacks. */
  readonly prune: boolean;
  /** The limit of units that are ended; undefined for half of the set. */
  readonly pruneLimit: number | undefined;
  /** Try the texts of held units again. */
  readonly retry?: boolean;
  /** What the command gives for rollouts, in place of the options of the units. */
  readonly limits?: RolloutLimits;
};

/** The changes of the registry that make it match a folder. */
export type SetEdits = {
  /** The units to store. Those in `pruned` become inactive, and are deleted when they are removed from their machines. */
  readonly units: readonly DesiredUnit[];
  /** The units that a pass has to bring to their target states. */
  readonly scope: ReadonlySet<string>;
  /** The units of the set that the folder lacks: those that end, and those that stay. */
  readonly pruned: readonly string[];
  readonly left: readonly string[];
  /** The units that only become members of the set. */
  readonly joined: readonly string[];
  /** The units whose texts in the folder have failed before: they keep their present ones. */
  readonly held: readonly UnitProblem[];
  /** With any, nothing may be stored. */
  readonly problems: readonly UnitProblem[];
};

/** The edits for a folder and one view of the registry. Pure. */
export function editsOf(wanted: WantedSet, view: RegistryView, options: SetOptions): SetEdits {
  const { draft, changed } = draftFor(wanted, view, options);
  const { units, held } = withoutFailed(changed, view, wanted.folder, options);
  const after = new Map(units.map((unit) => [unit.name, unit]));
  const joined: string[] = [];
  for (const name of draft.names) {
    const unit = after.get(name) ?? view.units.get(name);
    if (unit === undefined || unit.set === wanted.name) continue;
    if (!after.has(name)) joined.push(name);
    after.set(name, { ...unit, set: wanted.name });
  }
  const missing = missingUnits(wanted, view);
  const pruned = options.prune ? missing : [];
  for (const unit of pruned)
    if (unit.target !== 'inactive') after.set(unit.name, { ...unit, target: 'inactive' });
  const problems = [
    ...wanted.problems,
    ...draft.problems,
    ...strangers(wanted, view, options),
    ...lowered(after, pruned, view),
    ...limitOf(wanted, pruned.length, view, options),
  ];
  return {
    units: [...after.values()],
    scope: new Set([
      ...draft.names,
      ...draft.replaced,
      ...draft.companions,
      ...pruned.map(({ name }) => name),
    ]),
    pruned: pruned.map(({ name }) => name),
    left: options.prune ? [] : missing.map(({ name }) => name),
    joined,
    held,
    problems,
  };
}

/** The texts that applying a folder would store, beside those of the registry. */
export type TextDifferences = {
  readonly files: readonly DifferingFile[];
  readonly problems: readonly UnitProblem[];
};

/** The differences between the files of a folder and the registry; an instance with the file of its template has none. */
export function textDifferences(wanted: WantedSet, view: RegistryView): TextDifferences {
  const everything = { adopt: true, prune: false, pruneLimit: undefined, retry: true };
  const { units, problems } = editsOf(wanted, view, everything);
  const files = units.flatMap(({ name, text, digest }): readonly DifferingFile[] => {
    const known = view.units.get(name);
    const found = wanted.units.get(name);
    if (known?.digest === digest || found === undefined) return [];
    if (found.local.own === undefined && templateNameOf(name) !== undefined) return [];
    return [{ unit: name, path: found.path, registryText: known?.text ?? '', fileText: text }];
  });
  return { files, problems };
}

/**
 * The changed units without texts that have failed before, which would be held at once: such a unit keeps its text, and so do
 * its template and the other instances. With `retry` all texts are stored.
 */
function withoutFailed(
  changed: readonly DesiredUnit[],
  view: RegistryView,
  folder: string,
  { retry }: SetOptions,
): { readonly units: readonly DesiredUnit[]; readonly held: readonly UnitProblem[] } {
  const failed = retry === true ? new Map<string, ReadonlySet<string>>() : failedTexts(changed, view);
  const units = changed.flatMap((unit): readonly DesiredUnit[] => {
    if (!failed.has(keyOf(unit))) return [unit];
    const known = view.units.get(unit.name);
    return known === undefined || known.target === unit.target ? [] : [{ ...known, target: unit.target }];
  });
  const held = changed.flatMap((unit): readonly UnitProblem[] => {
    const machines = failed.get(keyOf(unit));
    const known = view.units.get(unit.name);
    if (machines === undefined || known?.digest === unit.digest || isTemplateName(unit.name)) return [];
    const rest = known === undefined ? 'it is not stored' : `it keeps text ${known.hash.slice(0, 7)}`;
    const message = `Cannot apply unit "${unit.name}": held: text ${unit.hash.slice(0, 7)} failed on ${[...machines].join(', ')}; ${rest}`;
    const hint = `Correct its file; or try this text again: fleetctl apply --retry ${folder}`;
    return [{ unit: unit.name, error: new FleetError('contradiction', message, { hint }) }];
  });
  return { units, held };
}

/** Text of a unit, or of a template and its instances → the machines on which it has failed before. */
function failedTexts(
  changed: readonly DesiredUnit[],
  view: RegistryView,
): ReadonlyMap<string, ReadonlySet<string>> {
  const failed = new Map<string, ReadonlySet<string>>();
  for (const unit of changed) {
    const known = view.units.get(unit.name);
    const held = heldText(view, unit);
    if (held === undefined || known === undefined || known.digest === unit.digest) continue;
    if (differOnlyInFolderOptions(known.text, unit.text)) continue;
    const names = held.machines.map(({ name }) => name);
    failed.set(keyOf(unit), new Set([...(failed.get(keyOf(unit)) ?? []), ...names]));
  }
  return failed;
}

function keyOf({ name, digest }: DesiredUnit): string {
  return `${templateNameOf(name) ?? name} ${digest}`;
}

type Drafted = { readonly draft: Draft; readonly changed: readonly DesiredUnit[] };

/**
 * The changes of units. A file that differs from the registry only in `Target=` or `Instances=` is stored if it changes the
 * target state or the instances; otherwise the text of the registry means the same.
 */
function draftFor(wanted: WantedSet, view: RegistryView, { prune }: SetOptions): Drafted {
  const aim = aimOf(wanted);
  const locals = [...wanted.units.values()].map(({ local }) => local);
  const stored = locals.map((local) => asStored(local, view));
  const make = (files: readonly LocalUnit[]): Drafted => {
    const draft = draftOf(view, { locals: files, replace: true, aim });
    return { draft, changed: draft.changes() };
  };
  const first = make(stored);
  if (stored.every((local, index) => local === locals[index])) return first;
  const retargeted = first.changed.filter(({ name, target }) => view.units.get(name)?.target !== target);
  const ended = prune ? missingUnits(wanted, view) : [];
  const instances = [...first.draft.created, ...ended.map(({ name }) => name)];
  const news = new Set([
    ...retargeted.map(({ name }) => name),
    ...instances.flatMap((name) => templateNameOf(name) ?? []),
  ]);
  return make(stored.map((local, index) => (news.has(local.name.text) ? (locals[index] ?? local) : local)));
}

/** The local unit, with the text of the registry if the two mean the same. */
function asStored(local: LocalUnit, view: RegistryView): LocalUnit {
  const stored = view.units.get(local.name.text)?.text;
  const file = local.own ?? local.template;
  if (stored === undefined || typeof file?.content !== 'string' || stored === file.content) return local;
  if (!differOnlyInFolderOptions(stored, file.content)) return local;
  const same = { ...file, content: stored };
  return local.own === undefined ? { ...local, template: same } : { ...local, own: same };
}

/**
 * A unit is launched unless its file says otherwise, or another unit of the set starts it. A template runs only through
 * its instances; it is installed where a socket needs it.
 */
function aimOf({ units }: WantedSet): Aim {
  return (unit, { areNamed }) => {
    if (isTemplateName(unit.name)) return unit.target;
    const wanted = units.get(unit.name)?.target;
    return wanted ?? (areNamed && !hasInstall(unit) ? 'loaded' : 'launched');
  };
}

/** The units of the set that the folder does not have, not even as a file that cannot be used. */
export function missingUnits(
  { name: set, units, problems }: WantedSet,
  view: RegistryView,
): readonly DesiredUnit[] {
  const unusable = new Set(problems.map(({ unit }) => unit));
  const isUnusable = (name: string): boolean =>
    unusable.has(name) || unusable.has(templateNameOf(name) ?? '');
  return [...view.units.values()].filter(
    ({ name, set: own }) => own === set && !units.has(name) && !isUnusable(name),
  );
}

function strangers(
  { name: set, units }: WantedSet,
  view: RegistryView,
  { adopt }: SetOptions,
): readonly UnitProblem[] {
  if (adopt) return [];
  return [...units.keys()].flatMap((unit) => {
    const other = view.units.get(unit)?.set;
    if (other === undefined || other === set) return [];
    const message = `Cannot apply unit "${unit}": it belongs to set "${other}"`;
    const hint = `Add --adopt to move it to set "${set}"; or remove its file from one of the two folders`;
    return [{ unit, error: new FleetError('contradiction', message, { hint }) }];
  });
}

/** The units that cannot be lowered, because a launched unit depends on them. */
function lowered(
  after: ReadonlyMap<string, DesiredUnit>,
  pruned: readonly DesiredUnit[],
  view: RegistryView,
): readonly UnitProblem[] {
  const units = new Map([...view.units, ...after]);
  const ended = new Set(pruned.map(({ name }) => name));
  const stopped = [...after.values()].filter(
    ({ name, target }) => target === 'loaded' && view.units.get(name)?.target === 'launched',
  );
  const unloaded = [...after.values()].filter(
    ({ name, target }) =>
      target === 'inactive' &&
      !ended.has(name) &&
      (view.units.get(name)?.target ?? 'inactive') !== 'inactive',
  );
  return [
    ...contradictionsOf(pruned, 'destroy', { units }),
    ...contradictionsOf(unloaded, 'unload', { units }),
    ...contradictionsOf(stopped, 'stop', { units }),
  ].map(({ unit, error }) => ({
    unit,
    error: new FleetError(error.code, error.message, { hint: 'Change the folder, or the other unit, too' }),
  }));
}

/** A folder that is empty by mistake, or a wrong one, must not end a whole set. */
function limitOf(
  { name: set, units }: WantedSet,
  count: number,
  view: RegistryView,
  { pruneLimit }: SetOptions,
): readonly UnitProblem[] {
  const all = [...view.units.values()].filter((unit) => unit.set === set).length;
  const most = pruneLimit ?? (units.size === 0 ? 0 : Math.floor(all / 2));
  if (count <= most) return [];
  const message = `Cannot end ${count} of ${all} units of set "${set}": the limit is ${most}`;
  const hint = `If the folder is right: --prune-limit ${count}`;
  return [{ unit: set, error: new FleetError('contradiction', message, { hint }) }];
}
