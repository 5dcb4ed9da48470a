import { isFleetError } from '../base/errors.ts';
import { compareText } from '../base/text.ts';
import type { DesiredUnit } from '../cluster/snapshot.ts';
import type { TargetState } from '../cluster/unit-state.ts';
import type { RegistryView } from '../registry/view.ts';
import { mayTrigger } from '../unit/dependencies.ts';
import { differOnlyInFolderOptions } from '../unit/folder-options.ts';
import { isTemplate, templateOf } from '../unit/unit-name.ts';
import { findUnit, withText } from './find-unit.ts';
import type { LocalUnit } from './local-file.ts';
import { instancesBehind, instancesOf, refuseCircle, type TemplateResult } from './related-units.ts';
import type { DifferingFile, UnitProblem } from './unit-result.ts';

/** Unit files that were read, and what a request does with their units. */
export type UnitFiles = {
  readonly locals: readonly LocalUnit[];
  /** Store files that differ from the registry; the instances of a template follow it. */
  readonly replace: boolean;
  /** By default, target states stay. */
  readonly aim?: Aim | undefined;
  /** Files that are stored if a loaded or launched trigger needs them. */
  readonly companions?: readonly LocalUnit[];
};

/**
 * The target state that a verb gives a unit. `triggers` are the timers, sockets, paths and automounts that start it, if they
 * are loaded, launched, or named together with it.
 */
export type Aim = (unit: DesiredUnit, triggers: Triggers) => TargetState;

/** The names of a unit's triggers, and whether one of them is named together with it. */
export type Triggers = { readonly all: readonly string[]; readonly areNamed: boolean };

/** The changes of the registry that store unit files and target states, for one view of it. */
export function draftOf(view: RegistryView, files: UnitFiles): Draft {
  const { locals, companions = [] } = files;
  view.needUnits(locals.flatMap(({ name }) => [name, templateOf(name) ?? []].flat()).map(({ text }) => text));
  const draft = new Draft(view, files);
  for (const local of locals) draft.add(local);
  draft.followTemplates();
  draft.setTargets(companions);
  return draft;
}

/** Use {@link draftOf}. */
export class Draft {
  /** The named units. */
  readonly names: string[] = [];
  /** Units that are new in the registry. */
  readonly created = new Set<string>();
  /** Units whose text was replaced, including instances of a replaced template. */
  readonly replaced = new Set<string>();
  /** Units that became `loaded` because a named trigger starts them. */
  readonly companions = new Set<string>();
  readonly problems: UnitProblem[] = [];
  /** Files that differ and were not stored. */
  readonly differing: DifferingFile[] = [];
  /** Files of named units that differed and replace the texts of the registry. */
  readonly replacing: DifferingFile[] = [];
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
  readonly #view: RegistryView;
  readonly #replace: boolean;
  readonly #aim: Aim;

  constructor(view: RegistryView, { replace, aim = ({ target }) => target }: Omit<UnitFiles, 'locals'>) {
    this.#view = view;
    this.#replace = replace;
    this.#aim = aim;
  }

  add(local: LocalUnit): void {
    const name = local.name.text;
    const found = findUnit(local, this.#view.asWritten);
    if (found.kind === 'problem') {
      this.problems.push({ unit: name, error: found.error });
      return;
    }
    if (found.kind === 'new' && this.#isCircular(found.unit)) return;
    this.names.push(name);
    if (found.kind === 'new') {
      this.created.add(name);
      this.#change(found.unit);
    }
    if (found.differing !== undefined) this.#differs(name, found.differing);
    if (found.kind === 'known' && found.differing !== undefined && this.#replace)
      this.replacing.push(found.differing);
    if (isTemplate(local.name) && this.#replace) this.#leading.push(local);
    if (local.own !== undefined) this.#own.add(name);
    const template = templateOf(local.name)?.text;
    const now = this.#changed.get(name);
    if (
      template !== undefined &&
      now?.fromTemplate === true &&
      now.digest !== this.#view.asWritten.units.get(name)?.digest
    )
      this.#taken.set(template, now);
  }

  /**
   * Gives the instances of a template its new text. If only one instance gets it, the others that are behind are reported.
   */
  followTemplates(): void {
    for (const { name, beside } of this.#leading) {
      const { following, own } = instancesOf(name.text, this.#view.asWritten, beside);
      const isOwn = (instance: string): boolean => this.#own.has(instance);
      const led = following.filter((instance) => !isOwn(instance));
      for (const instance of led) this.#follow(instance, name.text);
      const others = [...own, ...following.filter(isOwn)];
      this.templates.push({ template: name.text, following: led, own: others, behind: [] });
    }
    for (const [template, { digest }] of this.#taken) {
      const behind = instancesBehind(template, digest, this.#view.asWritten).filter(
        (name) => this.#latest(name)?.digest !== digest,
      );
      if (behind.length > 0) this.templates.push({ template, following: [], own: [], behind });
    }
  }

  #follow(instance: string, template: string): void {
    const source = this.#latest(template);
    const present = this.#latest(instance);
    if (source === undefined || present === undefined || present.digest === source.digest) return;
    if (differOnlyInFolderOptions(present.text, source.text)) return;
    this.#replaceText(instance, { fileText: source.text, path: template, fromTemplate: true });
  }

  /** Triggers come first, because the target states of the units that they start depend on them. */
  setTargets(companions: readonly LocalUnit[]): void {
    const named = this.names.flatMap((name) => this.#latest(name) ?? []);
    for (const unit of named.filter(({ triggers }) => triggers !== undefined))
      this.#raise(unit, this.#aim(unit, { all: [], areNamed: false }));
    for (const unit of named.filter(({ triggers }) => triggers === undefined)) {
      this.#raise(unit, this.#aim(unit, this.#triggersOf(unit.name)));
    }
    for (const local of companions) this.#addCompanion(local);
    const touched = this.#touched();
    for (const name of touched) {
      const unit = this.#latest(name);
      if (unit?.target !== 'inactive' || this.#wantedTriggersOf(name).length === 0) continue;
      this.#raise(unit, 'loaded');
      if (!this.names.includes(name)) this.companions.add(name);
    }
  }

  #addCompanion(local: LocalUnit): void {
    const name = local.name.text;
    if (this.#wantedTriggersOf(name).length === 0) return;
    const found = findUnit(local, this.#view.asWritten);
    if (found.kind === 'known' && found.differing !== undefined) this.#differs(name, found.differing);
    else if (found.kind === 'new') this.#change(found.unit);
    else if (found.kind === 'problem') this.problems.push({ unit: name, error: found.error });
  }

  /** The units that the request is about and those that they start: those of the registry first. */
  #touched(): readonly string[] {
    const started = this.names.flatMap((name) => this.#latest(name)?.triggers ?? []);
    const touched = new Set([...this.names, ...started]);
    const stored = [...touched].filter((name) => this.#view.asWritten.units.has(name)).toSorted(compareText);
    return [...new Set([...stored, ...[...this.#changed.keys()].filter((name) => touched.has(name))])];
  }

  /** The triggers of `unit` that are loaded, launched, or named in this request. */
  #triggersOf(unit: string): Triggers {
    const named = this.#startersOf(unit).filter(({ name }) => this.names.includes(name));
    const all = new Set([...named.map(({ name }) => name), ...this.#wantedTriggersOf(unit)]);
    return { all: [...all], areNamed: named.length > 0 };
  }

  #wantedTriggersOf(unit: string): readonly string[] {
    const wanted = this.#startersOf(unit).filter(({ target }) => target !== 'inactive');
    return wanted.map(({ name }) => name);
  }

  /** Of the registry, only units of the types that start others are read. */
  #startersOf(unit: string): readonly DesiredUnit[] {
    if (this.#starters === undefined) {
      this.#starters = new Map();
      const names = this.#view.unitNames.filter(mayTrigger);
      this.#view.needUnits(names);
      for (const name of names) this.#indexStarter(this.#view.asWritten.units.get(name));
      for (const changed of this.#changed.values()) this.#indexStarter(changed);
    }
    const names = [...(this.#starters.get(unit) ?? [])];
    return names.flatMap((name) => {
      const starter = this.#latest(name);
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

  #latest(name: string): DesiredUnit | undefined {
    return this.#changed.get(name) ?? this.#view.asWritten.units.get(name);
  }

  #isCircular(unit: DesiredUnit): boolean {
    try {
      refuseCircle(unit, (name) => this.#changed.get(name) ?? this.#view.units.get(name));
      return false;
    } catch (error) {
      if (!isFleetError(error)) throw error;
      this.problems.push({ unit: unit.name, error });
      return true;
    }
  }

  /** The units that differ from the this.#view. */
  changes(): readonly DesiredUnit[] {
    return [...this.#changed.values()].filter((unit) => {
      const known = this.#view.asWritten.units.get(unit.name);
      return known === undefined || PROPERTIES.some((property) => known[property] !== unit[property]);
    });
  }

  #differs(name: string, file: DifferingFile): void {
    if (this.#replace) this.#replaceText(name, file);
    else if (!this.differing.some(({ unit }) => unit === file.unit)) this.differing.push(file);
  }

  #replaceText(name: string, file: Pick<DifferingFile, 'fileText' | 'path' | 'fromTemplate'>): void {
    const unit = this.#latest(name);
    if (unit === undefined) return;
    try {
      const next = withText(unit, file);
      if (this.#isCircular(next)) return;
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
