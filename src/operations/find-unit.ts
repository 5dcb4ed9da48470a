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

/** The source of a unit. The search order is: registry, local file, template in the registry, local file of the template. */
export type FoundUnit =
  | {
      readonly kind: 'known';
      readonly unit: DesiredUnit;
      /** The local file, if its text differs. */
      readonly differing: DifferingFile | undefined;
    }
  | {
      readonly kind: 'new';
      readonly unit: DesiredUnit;
      /** The local file of the template, if its text differs from the registry. */
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
    ...asRecovered(newUnit(name, text, source), registry),
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

/** The unit, where a recovered one that only lacks its text keeps its target state and its machine. */
function asRecovered(unit: DesiredUnit, registry: RegistryView): DesiredUnit {
  const { machine, unconfirmed } = registry.unconfirmed.get(unit.name) ?? {};
  if (unconfirmed === undefined) return unit;
  return { ...unit, target: unconfirmed.target, machine: unit.placement.global ? undefined : machine };
}

/** Whether a document must not be overwritten: it is of a newer fleet, or unconfirmed. A damaged one may be. */
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
 * A unit of the registry with another text; its other properties stay. Throws a FleetError if the text is invalid.
 */
export function withText(
  unit: DesiredUnit,
  {
    fileText,
    path,
    fromTemplate = unit.fromTemplate,
  }: Pick<DifferingFile, 'fileText' | 'path' | 'fromTemplate'>,
): DesiredUnit {
  const { target, machine, set, token } = unit;
  const replaced = newUnit(parseUnitName(unit.name), fileText, path);
  refuseTighterFence(unit, replaced);
  const place = replaced.placement.global ? undefined : machine;
  return { ...replaced, target, machine: place, fromTemplate, set, token };
}

/**
 * Throws FleetError `placement` for a shorter stop timeout of an assigned fenced unit: an unreachable machine may run it
 * with the old text, and the end of its lease is calculated from the text of the registry.
 */
function refuseTighterFence(unit: DesiredUnit, next: DesiredUnit): void {
  const before = unit.placement.fence?.stopMs ?? Number.POSITIVE_INFINITY;
  if (unit.machine === undefined || next.placement.fence === undefined) return;
  if (next.placement.fence.stopMs >= before) return;
  const what = unit.placement.fence === undefined ? 'Fenced=true' : 'a shorter stop timeout';
  throw new FleetError('placement', `Cannot give unit "${unit.name}" ${what} while it is on a machine`, {
    hint: `Unload it first: fleetctl unload ${unit.name}`,
  });
}

/** A unit that the registry does not have yet. Throws a FleetError if its text is invalid. */
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
