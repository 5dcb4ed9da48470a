import { FleetError, isFleetError } from '../base/errors.ts';
import { sha256 } from '../base/hash.ts';
import type { DesiredUnit } from '../cluster/snapshot.ts';
import type { RegistryView } from '../registry/view.ts';
import { readDependencies, triggeredUnit } from '../unit/dependencies.ts';
import { checkFleetSection } from '../unit/fleet-section.ts';
import { checkInstall } from '../unit/install.ts';
import { parsePlacement } from '../unit/placement.ts';
import { hashUnitFile, parseUnitFile } from '../unit/unit-file.ts';
import { parseUnitName, quadletHint, templateOf, type UnitName } from '../unit/unit-name.ts';
import type { LocalFile, LocalUnit } from './local-file.ts';
import type { DifferingFile } from './unit-result.ts';

/** Where a unit was found, in the order that is searched: registry, disk, template in registry, template on disk. */
export type FoundUnit =
  | {
      readonly kind: 'known';
      readonly unit: DesiredUnit;
      /** The local file whose text is another one; undefined when it is the same or there is none. */
      readonly differing: DifferingFile | undefined;
    }
  | {
      readonly kind: 'new';
      readonly unit: DesiredUnit;
      /** The local file of the template, where the registry's template has another text. */
      readonly differing?: DifferingFile | undefined;
    }
  | { readonly kind: 'problem'; readonly error: FleetError };

/** Finds the text of a unit by fleet's order of search, and checks it. */
export function findUnit(local: LocalUnit, registry: RegistryView): FoundUnit {
  const { name } = local;
  const known = registry.units.get(name.text);
  if (known !== undefined) return { kind: 'known', unit: known, differing: differingFile(local, known) };
  const template = templateOf(name)?.text;
  const reason = [name.text, template ?? ''].map((each) => registry.unreadable.get(each)).find(isIntact);
  if (reason !== undefined) return { kind: 'problem', error: reason };
  const stored = template === undefined ? undefined : registry.units.get(template);
  const made = (text: string, source: string, fromTemplate: boolean): DesiredUnit => ({
    ...newUnit(name, text, source),
    ...(template !== undefined && { fromTemplate }),
  });
  try {
    if (local.own !== undefined)
      return { kind: 'new', unit: made(contentOf(local.own), local.own.path, false) };
    if (stored !== undefined)
      return {
        kind: 'new',
        unit: made(stored.text, stored.name, true),
        differing: differingFrom(local.template, stored),
      };
    if (local.template !== undefined)
      return { kind: 'new', unit: made(contentOf(local.template), local.template.path, true) };
  } catch (error) {
    if (isFleetError(error)) return { kind: 'problem', error };
    throw error;
  }
  return { kind: 'problem', error: notFound(name, template) };
}

/** A document that is damaged is written again; not one of a newer fleet, or one that waits to be accepted. */
function isIntact(error: FleetError | undefined): boolean {
  return error?.code === 'registry-newer' || error?.code === 'not-recoverable';
}

function differingFile({ name, own, template }: LocalUnit, known: DesiredUnit): DifferingFile | undefined {
  const differing = differingFrom(own ?? template, known);
  if (differing === undefined || templateOf(name) === undefined) return differing;
  return { ...differing, fromTemplate: own === undefined };
}

function differingFrom(file: LocalFile | undefined, known: DesiredUnit): DifferingFile | undefined {
  if (file === undefined || typeof file.content !== 'string') return undefined;
  if (sha256(file.content) === known.digest) return undefined;
  return { unit: known.name, path: file.path, registryText: known.text, fileText: file.content };
}

function contentOf(file: LocalFile): string {
  if (typeof file.content === 'string') return file.content;
  throw file.content;
}

/**
 * A unit of the registry with the text of another file; everything else stays. Throws a FleetError when the
 * text is no good.
 */
export function withText(
  unit: DesiredUnit,
  {
    fileText,
    path,
    fromTemplate = unit.fromTemplate,
  }: Pick<DifferingFile, 'fileText' | 'path' | 'fromTemplate'>,
): DesiredUnit {
  const { target, machine, token } = unit;
  const replaced = newUnit(parseUnitName(unit.name), fileText, path);
  refuseTighterFence(unit, replaced);
  const place = replaced.placement.global ? undefined : machine;
  return { ...replaced, target, machine: place, fromTemplate, token };
}

/**
 * What may run on a machine that does not answer is derived from the text of the registry: a copy that is there must not
 * take longer to stop than that says.
 */
function refuseTighterFence(unit: DesiredUnit, next: DesiredUnit): void {
  const before = unit.placement.fence?.stopMs ?? Number.POSITIVE_INFINITY;
  if (unit.machine === undefined || next.placement.fence === undefined) return;
  if (next.placement.fence.stopMs >= before) return;
  const what = unit.placement.fence === undefined ? 'Fenced=true' : 'a shorter stop timeout';
  throw new FleetError('placement', `Cannot give unit "${unit.name}" ${what} while it is on a machine`, {
    hint: `Take it from there first: fleetctl unload ${unit.name}`,
  });
}

/** A unit that the registry does not have yet; throws a FleetError when its text is no good. */
function newUnit(name: UnitName, text: string, source: string): DesiredUnit {
  const file = parseUnitFile(text, source);
  const placement = parsePlacement(file, name);
  checkFleetSection(file, name);
  checkInstall(file, name);
  const digest = sha256(text);
  return {
    name: name.text,
    text,
    hash: hashUnitFile(file),
    digest,
    placement,
    triggers: triggeredUnit(file, name),
    dependencies: readDependencies(file, name),
    target: 'inactive',
    machine: undefined,
    token: 0,
  };
}

function notFound(name: UnitName, template: string | undefined): FleetError {
  const also = template === undefined ? '' : `, nor its template "${template}"`;
  return new FleetError(
    'unit-not-found',
    `Cannot find unit "${name.text}"${also}: it is not in the registry and not on disk`,
    {
      hint:
        quadletHint(name.text.replace(/\.service$/, '')) ?? 'Units in the registry: fleetctl list-unit-files',
    },
  );
}
