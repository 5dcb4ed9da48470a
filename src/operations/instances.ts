import type { DesiredUnit } from '../cluster/snapshot.ts';
import type { RegistryView } from '../registry/view.ts';
import { isTemplate, parseUnitName, templateOf } from '../unit/unit-name.ts';

/** How the instances of a template stand to it, by name. */
export type Instances = {
  /** Those that have their text from the template, and get a new one with it. */
  readonly following: readonly string[];
  /** Those that have their own text, and keep it. */
  readonly own: readonly string[];
};

/** A request that took the file of a template. */
export type TemplateResult = Instances & {
  readonly template: string;
  /** Instances that were made from the template and have another text now, because they were not named. */
  readonly behind: readonly string[];
};

/**
 * The instances of a template. An instance follows when it was made from the template, or has the very text that the
 * template has. Registries of fleet 0.1.0, and those that were recovered from machines, do not know what an instance was
 * made from. It follows there if its text is one that the template had; or, where the registry never had the
 * template, unless its own file is among `files`, the names of unit files beside the template's.
 */
export function instancesOf(
  template: string,
  registry: RegistryView,
  files: ReadonlySet<string> = new Set(),
): Instances {
  if (!isTemplate(parseUnitName(template))) return { following: [], own: [] };
  const present = registry.units.get(template)?.digest;
  const texts = new Set(registry.history(template).map(({ digest }) => digest));
  const follows = ({ name, digest, fromTemplate }: DesiredUnit): boolean => {
    if (digest === present) return true;
    if (fromTemplate !== undefined) return fromTemplate;
    return texts.size === 0 ? !files.has(name) : texts.has(digest);
  };
  const all = madeLike(template, registry);
  return {
    following: all.filter(follows).map(({ name }) => name),
    own: all.filter((unit) => !follows(unit)).map(({ name }) => name),
  };
}

/** The instances that are known to be made from a template and have another text than `digest`. */
export function instancesBehind(template: string, digest: string, registry: RegistryView): readonly string[] {
  return madeLike(template, registry)
    .filter((unit) => unit.fromTemplate === true && unit.digest !== digest)
    .map(({ name }) => name);
}

function madeLike(template: string, { units }: RegistryView): readonly DesiredUnit[] {
  return [...units.values()].filter(({ name }) => templateOf(parseUnitName(name))?.text === template);
}
