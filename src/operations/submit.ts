import { dirname, join } from 'node:path';
import { isFleetError } from '../base/errors.ts';
import { compareText } from '../base/text.ts';
import type { DesiredUnit } from '../cluster/snapshot.ts';
import type { TargetState } from '../cluster/unit-state.ts';
import type { RolloutLimits } from '../plan/rollout.ts';
import type { Edit } from '../registry/edit.ts';
import type { Registry } from '../registry/registry.ts';
import type { RegistryView } from '../registry/view.ts';
import { mayTrigger, triggeredUnit } from '../unit/dependencies.ts';
import { differOnlyInFolderOptions } from '../unit/folder-options.ts';
import { parseUnitFile } from '../unit/unit-file.ts';
import { isTemplate, templateOf, type UnitName } from '../unit/unit-name.ts';
import { findUnit, withText } from './find-unit.ts';
import { type LocalUnit, readLocalUnits } from './local-file.ts';
import { instancesBehind, instancesOf, refuseCircle, type TemplateResult } from './related-units.ts';
import type { DifferingFile, UnitProblem } from './unit-result.ts';

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

/**
 * The target state that a verb gives a unit. `triggers` are the timers, sockets, paths and automounts that start it, if they
 * are loaded, launched, or named together with it.
 */
export type Aim = (unit: DesiredUnit, triggers: Triggers) => TargetState;

/** The names of a unit's triggers, and whether one of them is named together with it. */
export type Triggers = { readonly all: readonly string[]; readonly areNamed: boolean };

/** The result of a submission; `units` are the named units, as the registry has them now. */
export type Submission = {
  readonly units: readonly DesiredUnit[];
  /** Units that are new in the registry. */
  readonly created: ReadonlySet<string>;
  /** Units whose text was replaced, including instances of a replaced template. */
  readonly replaced: ReadonlySet<string>;
  /** Units that became `loaded` because a named trigger starts them. */
  readonly companions: ReadonlySet<string>;
  readonly problems: readonly UnitProblem[];
  /** Files that differ and were not stored. */
  readonly differing: readonly DifferingFile[];
  readonly templates: readonly TemplateResult[];
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
  return submitFiles(registry, locals, replace, aim, await readCompanions(locals));
}

/**
 * {@link submit} for files that were read already; `companions` are stored if a loaded or launched trigger needs them. Without
 * `aim`, which a pass follows, only the documents about these units are read.
 */
export async function submitFiles(
  registry: Registry,
  locals: readonly LocalUnit[],
  replace: boolean,
  aim: Aim | undefined,
  companions: readonly LocalUnit[] = [],
): Promise<Submission> {
  let draft = new Draft(replace, aim);
  const decide = (view: RegistryView): readonly Edit[] => {
    draft = draftOf(aim === undefined ? view : view.whole, locals, replace, aim, companions);
    return draft.changes(view).map((unit) => ({ kind: 'put-unit', unit }));
  };
  const named = (names: Iterable<string>, { asWritten }: RegistryView): readonly DesiredUnit[] =>
    [...names].flatMap((name) => asWritten.units.get(name) ?? []);
  const [units, stored, view] = await registry.change(
    decide,
    (after) =>
      [named(draft.names, after), named(new Set([...draft.names, ...draft.replaced]), after), after] as const,
  );
  const { created, replaced, problems, differing, templates, companions: raised } = draft;
  return {
    ...{ units, stored, created, replaced, companions: raised },
    ...{ problems, differing, templates, registry: view },
  };
}

/** The changes of {@link submitFiles}, for one view of the registry. */
export function draftOf(
  view: RegistryView,
  locals: readonly LocalUnit[],
  replace: boolean,
  aim: Aim | undefined,
  companions: readonly LocalUnit[] = [],
): Draft {
  view.needUnits(locals.flatMap(({ name }) => [name, templateOf(name) ?? []].flat()).map(({ text }) => text));
  const draft = new Draft(replace, aim);
  for (const local of locals) draft.add(local, view);
  draft.followTemplates(view);
  draft.setTargets(view, companions);
  return draft;
}

/** The changes of a request, for one view of the registry. */
class Draft {
  readonly names: string[] = [];
  readonly created = new Set<string>();
  readonly replaced = new Set<string>();
  readonly companions = new Set<string>();
  readonly problems: UnitProblem[] = [];
  readonly differing: DifferingFile[] = [];
  readonly templates: TemplateResult[] = [];
  /** Instances with a file among those of the request: they do not follow their template. */
  readonly #own = new Set<string>();
  /** Templates whose instances follow. */
  readonly #leading: LocalUnit[] = [];
  /** Instances that got a new text of their template, by the template's name. */
  readonly #taken = new Map<string, DesiredUnit>();
  readonly #changed = new Map<string, DesiredUnit>();
  /** Unit → the names of the units that start it, or did before the request. */
  #starters: Map<string, Set<string>> | undefined;
  readonly #replace: boolean;
  readonly #aim: Aim;

  constructor(replace: boolean, aim: Aim = ({ target }) => target) {
    this.#replace = replace;
    this.#aim = aim;
  }

  add(local: LocalUnit, registry: RegistryView): void {
    const name = local.name.text;
    const found = findUnit(local, registry.asWritten);
    if (found.kind === 'problem') {
      this.problems.push({ unit: name, error: found.error });
      return;
    }
    if (found.kind === 'new' && this.#isCircular(found.unit, registry)) return;
    this.names.push(name);
    if (found.kind === 'new') {
      this.created.add(name);
      this.#change(found.unit);
    }
    if (found.differing !== undefined) this.#differs(name, found.differing, registry);
    if (isTemplate(local.name) && this.#replace) this.#leading.push(local);
    if (local.own !== undefined) this.#own.add(name);
    const template = templateOf(local.name)?.text;
    const now = this.#changed.get(name);
    if (
      template !== undefined &&
      now?.fromTemplate === true &&
      now.digest !== registry.asWritten.units.get(name)?.digest
    )
      this.#taken.set(template, now);
  }

  /**
   * Gives the instances of a template its new text. If only one instance gets it, the others that are behind are reported.
   */
  followTemplates(registry: RegistryView): void {
    for (const { name, beside } of this.#leading) {
      const { following, own } = instancesOf(name.text, registry.asWritten, beside);
      const isOwn = (instance: string): boolean => this.#own.has(instance);
      const led = following.filter((instance) => !isOwn(instance));
      for (const instance of led) this.#follow(instance, name.text, registry);
      const others = [...own, ...following.filter(isOwn)];
      this.templates.push({ template: name.text, following: led, own: others, behind: [] });
    }
    for (const [template, { digest }] of this.#taken) {
      const behind = instancesBehind(template, digest, registry.asWritten).filter(
        (name) => this.#latest(name, registry)?.digest !== digest,
      );
      if (behind.length > 0) this.templates.push({ template, following: [], own: [], behind });
    }
  }

  #follow(instance: string, template: string, registry: RegistryView): void {
    const source = this.#latest(template, registry);
    const present = this.#latest(instance, registry);
    if (source === undefined || present === undefined || present.digest === source.digest) return;
    if (differOnlyInFolderOptions(present.text, source.text)) return;
    this.#replaceText(instance, { fileText: source.text, path: template, fromTemplate: true }, registry);
  }

  /** Triggers come first, because the target states of the units that they start depend on them. */
  setTargets(registry: RegistryView, companions: readonly LocalUnit[]): void {
    const named = this.names.flatMap((name) => this.#latest(name, registry) ?? []);
    for (const unit of named.filter(({ triggers }) => triggers !== undefined))
      this.#raise(unit, this.#aim(unit, { all: [], areNamed: false }));
    for (const unit of named.filter(({ triggers }) => triggers === undefined)) {
      this.#raise(unit, this.#aim(unit, this.#triggersOf(unit.name, registry)));
    }
    for (const local of companions) this.#addCompanion(local, registry);
    const touched = this.#touched(registry);
    for (const name of touched) {
      const unit = this.#latest(name, registry);
      if (unit?.target !== 'inactive' || this.#wantedTriggersOf(name, registry).length === 0) continue;
      this.#raise(unit, 'loaded');
      if (!this.names.includes(name)) this.companions.add(name);
    }
  }

  #addCompanion(local: LocalUnit, registry: RegistryView): void {
    const name = local.name.text;
    if (this.#wantedTriggersOf(name, registry).length === 0) return;
    const found = findUnit(local, registry.asWritten);
    if (found.kind === 'known' && found.differing !== undefined)
      this.#differs(name, found.differing, registry);
    else if (found.kind === 'new') this.#change(found.unit);
    else if (found.kind === 'problem') this.problems.push({ unit: name, error: found.error });
  }

  /** The units that the request is about and those that they start: those of the registry first. */
  #touched(registry: RegistryView): readonly string[] {
    const started = this.names.flatMap((name) => this.#latest(name, registry)?.triggers ?? []);
    const touched = new Set([...this.names, ...started]);
    const stored = [...touched].filter((name) => registry.asWritten.units.has(name)).toSorted(compareText);
    return [...new Set([...stored, ...[...this.#changed.keys()].filter((name) => touched.has(name))])];
  }

  /** The triggers of `unit` that are loaded, launched, or named in this request. */
  #triggersOf(unit: string, registry: RegistryView): Triggers {
    const named = this.#startersOf(unit, registry).filter(({ name }) => this.names.includes(name));
    const all = new Set([...named.map(({ name }) => name), ...this.#wantedTriggersOf(unit, registry)]);
    return { all: [...all], areNamed: named.length > 0 };
  }

  #wantedTriggersOf(unit: string, registry: RegistryView): readonly string[] {
    const wanted = this.#startersOf(unit, registry).filter(({ target }) => target !== 'inactive');
    return wanted.map(({ name }) => name);
  }

  /** Of the registry, only units of the types that start others are read. */
  #startersOf(unit: string, registry: RegistryView): readonly DesiredUnit[] {
    if (this.#starters === undefined) {
      this.#starters = new Map();
      const names = registry.unitNames.filter(mayTrigger);
      registry.needUnits(names);
      for (const name of names) this.#indexStarter(registry.asWritten.units.get(name));
      for (const changed of this.#changed.values()) this.#indexStarter(changed);
    }
    const names = [...(this.#starters.get(unit) ?? [])];
    return names.flatMap((name) => {
      const starter = this.#latest(name, registry);
      return starter?.triggers === unit ? [starter] : [];
    });
  }

  #indexStarter(starter: DesiredUnit | undefined): void {
    if (starter?.triggers === undefined || this.#starters === undefined) return;
    const names = this.#starters.get(starter.triggers) ?? new Set();
    this.#starters.set(starter.triggers, names.add(starter.name));
  }

  #change(unit: DesiredUnit): void {
    this.#changed.set(unit.name, unit);
    this.#indexStarter(unit);
  }

  #raise(unit: DesiredUnit, target: TargetState): void {
    if (this.#changed.has(unit.name) || target !== unit.target) this.#change({ ...unit, target });
  }

  #latest(name: string, registry: RegistryView): DesiredUnit | undefined {
    return this.#changed.get(name) ?? registry.asWritten.units.get(name);
  }

  #isCircular(unit: DesiredUnit, registry: RegistryView): boolean {
    try {
      refuseCircle(unit, (name) => this.#changed.get(name) ?? registry.units.get(name));
      return false;
    } catch (error) {
      if (!isFleetError(error)) throw error;
      this.problems.push({ unit: unit.name, error });
      return true;
    }
  }

  /** The units that differ from the registry. */
  changes({ asWritten }: RegistryView): readonly DesiredUnit[] {
    return [...this.#changed.values()].filter((unit) => {
      const known = asWritten.units.get(unit.name);
      return known === undefined || PROPERTIES.some((property) => known[property] !== unit[property]);
    });
  }

  #differs(name: string, file: DifferingFile, registry: RegistryView): void {
    if (this.#replace) this.#replaceText(name, file, registry);
    else if (!this.differing.some(({ unit }) => unit === file.unit)) this.differing.push(file);
  }

  #replaceText(
    name: string,
    file: Pick<DifferingFile, 'fileText' | 'path' | 'fromTemplate'>,
    registry: RegistryView,
  ): void {
    const unit = this.#latest(name, registry);
    if (unit === undefined) return;
    try {
      const next = withText(unit, file);
      if (this.#isCircular(next, registry)) return;
      this.#change(next);
      this.replaced.add(name);
    } catch (error) {
      if (!isFleetError(error)) throw error;
      this.problems.push({ unit: name, error });
    }
  }
}

/** The stored properties of a unit. */
const PROPERTIES = ['digest', 'target', 'machine', 'fromTemplate', 'set'] as const;

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
