import { FleetError } from '../base/errors.ts';
import type { DesiredUnit } from '../cluster/snapshot.ts';
import type { RegistryView } from '../registry/view.ts';
import { type Dependency, EFFECTS } from '../unit/dependencies.ts';
import { readInstall } from '../unit/install.ts';
import { parseUnitFile } from '../unit/unit-file.ts';
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

function madeLike(template: string, { unitNames, units }: RegistryView): readonly DesiredUnit[] {
  const start = template.slice(0, template.indexOf('@') + 1);
  return unitNames
    .filter((name) => name.startsWith(start))
    .flatMap((name) => units.get(name) ?? [])
    .filter(({ name }) => templateOf(parseUnitName(name))?.text === template);
}

/** A unit whose text names another one that is on another machine, where systemd does not find it. */
export type Apart = { readonly unit: string; readonly dependency: Dependency };

/** Those of `names`, each with the first unit of the registry that it needs and that is on another machine. */
export function unitsApart(names: ReadonlySet<string>, units: readonly DesiredUnit[]): readonly Apart[] {
  const placed = new Map(
    units.flatMap((unit) =>
      unit.target === 'inactive' || unit.machine === undefined ? [] : [[unit.name, unit] as const],
    ),
  );
  return [...names].flatMap((name) => {
    const unit = placed.get(name);
    const dependency = unit?.dependencies.find((each) => {
      const machine = placed.get(each.unit)?.machine;
      return EFFECTS[each.kind].needed === 'named' && machine !== undefined && machine !== unit.machine;
    });
    return dependency === undefined ? [] : [{ unit: name, dependency }];
  });
}

/** A unit that is launched, with those of its `Also=` that are not. */
export type StartedAlone = { readonly unit: string; readonly also: readonly string[] };

/**
 * Those of `names` that were started without all of their `Also=`. systemd would enable these units with them; here a
 * unit is enabled because it is launched itself, and one that is not of fleet is left alone.
 */
export function startedAlone(
  names: ReadonlySet<string>,
  units: readonly DesiredUnit[],
): readonly StartedAlone[] {
  const launched = new Map(
    units.filter(({ target }) => target === 'launched').map((unit) => [unit.name, unit]),
  );
  return [...names].flatMap((name) => {
    const text = launched.get(name)?.text ?? '';
    if (!text.includes('Also')) return [];
    const { also } = readInstall(parseUnitFile(text), parseUnitName(name));
    const missing = also.filter((other) => !launched.has(other));
    return missing.length === 0 ? [] : [{ unit: name, also: missing }];
  });
}

type Lookup = (name: string) => DesiredUnit | undefined;

/**
 * Throws FleetError `placement` when a unit replaces itself by way of others: fleet refuses it, for the start of
 * either would end the other.
 */
export function refuseCircle(unit: DesiredUnit, lookup: Lookup): void {
  const seen = new Set<string>();
  const waiting = unit.placement.replaces.map((name) => ({ name, way: [name] }));
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { name, way } = next;
    if (name === unit.name) {
      throw new FleetError(
        'placement',
        `Cannot use unit "${unit.name}": it replaces itself, by way of ${way
          .slice(0, -1)
          .map((each) => `"${each}"`)
          .join(', ')}`,
        { hint: 'Remove Replaces= from one of them' },
      );
    }
    if (seen.has(name)) continue;
    seen.add(name);
    const further = lookup(name)?.placement.replaces ?? [];
    waiting.push(...further.map((each) => ({ name: each, way: [...way, each] })));
  }
}
