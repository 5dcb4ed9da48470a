import { FleetError } from '../base/errors.ts';
import type { DesiredUnit } from '../cluster/snapshot.ts';
import type { RegistryView } from '../registry/view.ts';
import { type Dependency, EFFECTS } from '../unit/dependencies.ts';
import { readInstall } from '../unit/install.ts';
import { parseUnitFile } from '../unit/unit-file.ts';
import { isTemplateName, parseUnitName, templateOf } from '../unit/unit-name.ts';

/** The names of a template's instances, by the origin of their texts. */
export type Instances = {
  /** Instances with the text of the template, which get its new text. */
  readonly following: readonly string[];
  /** Instances with a separate text, which they keep. */
  readonly own: readonly string[];
};

/** The result for a template whose file was stored. */
export type TemplateResult = Instances & {
  readonly template: string;
  /** Instances that follow the template, but were not updated, because the request did not name them. */
  readonly behind: readonly string[];
};

/**
 * The instances of a template. An instance follows if it was made from the template, or has the same text. Registries of
 * fleet 0.1.0, and recovered ones, do not have the origin of an instance. There it follows if its text is in the history of
 * the template; or, if the registry never had the template, unless `files` (the names of unit files beside the template's)
 * has a file for it.
 */
export function instancesOf(
  template: string,
  registry: RegistryView,
  files: ReadonlySet<string> = new Set(),
): Instances {
  if (!isTemplateName(template)) return { following: [], own: [] };
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

/** The instances that were made from a template and have another text than `digest`. */
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

/** A unit that depends on a unit on another machine. */
export type Apart = { readonly unit: string; readonly dependency: Dependency };

/** The units in `names` that depend on a unit on another machine, each with the first such dependency. */
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

/** A launched unit, and the units of its `Also=` that are not launched. */
export type StartedAlone = { readonly unit: string; readonly also: readonly string[] };

/**
 * The units in `names` that were started without all units of their `Also=`. `systemctl enable` would enable these too;
 * fleet enables a unit only if it is launched.
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
 * Throws FleetError `placement` if a unit replaces itself, directly or through others, because each start would stop
 * another one of them.
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
