import { readdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { FleetError } from '../base/errors.ts';
import { compareText } from '../base/text.ts';
import type { DesiredUnit } from '../cluster/snapshot.ts';
import type { Ports } from '../reconcile/ports.ts';
import { previewRegistry, type Registry } from '../registry/registry.ts';
import type { RegistryView } from '../registry/view.ts';
import { mayTrigger } from '../unit/dependencies.ts';
import { parsePlacement } from '../unit/placement.ts';
import { parseUnitFile } from '../unit/unit-file.ts';
import {
  isTemplate,
  isTemplateName,
  parseUnitName,
  type UnitName,
  unitNameProblem,
} from '../unit/unit-name.ts';
import type { Aim } from './draft.ts';
import { findUnit } from './find-unit.ts';
import { globOf, namedUnitOf, readLocalUnits, unitMatcher, unitNameOf } from './local-file.ts';
import { observeCluster } from './observe-cluster.ts';
import { noSuchUnit } from './select-units.ts';
import { type SubmitRequest, submit } from './submit.ts';
import type { UnitProblem } from './unit-result.ts';

/**
 * The request with every glob replaced by the units that it matches: unit files of its folder and, without a folder, units
 * of the registry. `web@*` also matches `web@*.service`. `templates` decides whether templates match. A glob without a match
 * is a problem.
 */
export async function expandGlobs<Request extends SubmitRequest>(
  registry: Pick<Registry, 'load'>,
  request: Request,
  templates: 'with templates' | 'without templates',
): Promise<{ readonly request: Request; readonly unmatched: readonly UnitProblem[] }> {
  if (request.units.every((argument) => globOf(argument) === undefined)) return { request, unmatched: [] };
  const { unitNames } = await registry.load();
  const unmatched: UnitProblem[] = [];
  const units: string[] = [];
  for (const argument of request.units) {
    if (globOf(argument) === undefined) {
      units.push(argument);
      continue;
    }
    const all = await expand(argument, request.cwd, unitNames);
    const found =
      templates === 'with templates' ? all : all.filter((path) => !isTemplateName(basename(path)));
    if (found.length === 0)
      unmatched.push(
        noSuchUnit(
          argument,
          all.map((path) => basename(path)),
        ),
      );
    units.push(...found);
  }
  return { request: { ...request, units: [...new Set(units)] }, unmatched };
}

/** The request with every template that has `Instances=` replaced by these instances, unless `isKept` returns true for it. */
export async function expandInstances(
  registry: Pick<Registry, 'load'>,
  request: SubmitRequest,
  isKept: (argument: string) => boolean,
): Promise<SubmitRequest> {
  const templateIn = (argument: string): UnitName | undefined => {
    const name = namedUnitOf(argument);
    return name !== undefined && isTemplate(name) && !isKept(argument) ? name : undefined;
  };
  if (!request.units.some(templateIn)) return request;
  const view = await registry.load();
  const units = await Promise.all(
    request.units.map(async (argument) => {
      const template = templateIn(argument);
      if (template === undefined) return [argument];
      const { prefix, type } = template;
      const instances = await declaredInstances(argument, request, view);
      if (instances.length === 0) return [argument];
      const folder = argument.includes('/') ? `${dirname(argument)}/` : '';
      return instances.map((instance) => `${folder}${prefix}@${instance}.${type}`);
    }),
  );
  return { ...request, units: [...new Set(units.flat())] };
}

/** `Instances=` of a template, in the text that a request would use. */
async function declaredInstances(
  argument: string,
  { cwd, replace }: SubmitRequest,
  view: RegistryView,
): Promise<readonly string[]> {
  const [local] = await readLocalUnits([argument], cwd);
  const found = local === undefined ? undefined : findUnit(local, view);
  if (local === undefined || found === undefined || found.kind === 'problem') return [];
  if (!replace || found.differing === undefined) return found.unit.placement.instances;
  return parsePlacement(parseUnitFile(found.differing.fileText, argument), local.name).instances;
}

async function expand(argument: string, cwd: string, known: readonly string[]): Promise<readonly string[]> {
  const folder = dirname(argument);
  const matches = unitMatcher(argument);
  const files = (await unitFiles(resolve(cwd, folder))).map((name) => join(folder, name));
  return [...new Set([...files, ...(argument.includes('/') ? [] : known)])]
    .filter((path) => matches(basename(path)))
    .toSorted(compareText);
}

/** The names of the unit files in a folder; none if it cannot be read. */
async function unitFiles(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => unitNameProblem(name) === undefined && parseUnitName(name).text === name);
}

/**
 * The executable part of a request: with globs expanded, and without timers, sockets, paths and automounts that have no
 * unit to start. The others are problems, which are found before any change.
 */
export async function actionable(
  ports: Ports,
  request: SubmitRequest,
  verb: 'start' | 'load' | 'submit',
): Promise<{ readonly request: SubmitRequest; readonly problems: readonly UnitProblem[] }> {
  const templates = verb === 'submit' ? 'with templates' : 'without templates';
  const expanded = await expandGlobs(ports.registry, request, templates);
  const idle = await idleTriggers(ports, expanded.request, verb);
  const left = new Set(idle.map(({ unit }) => unit));
  const units = expanded.request.units.filter((argument) => !left.has(unitNameOf(argument).text));
  return { request: { ...request, units }, problems: [...expanded.unmatched, ...idle] };
}

/** A timer, socket, path or automount, and the unit it starts. */
type Trigger = { readonly unit: string; readonly starts: string };

/**
 * The timers, sockets, paths and automounts of a request that have no unit to start: it is not in the registry, not among
 * the arguments, and on no machine that answers. Machines are observed only if the registry does not have it.
 */
async function idleTriggers(
  ports: Ports,
  request: SubmitRequest,
  verb: 'start' | 'load' | 'submit',
): Promise<readonly UnitProblem[]> {
  if (!request.units.some((argument) => mayTrigger(unitNameOf(argument).text))) return [];
  const preview = previewRegistry(ports.registry, { clock: ports.clock, author: '' });
  const aim: Aim = ({ target }) => (verb !== 'submit' && target === 'inactive' ? 'loaded' : target);
  const { units } = await submit(preview, request, aim);
  // A unit that is only submitted gets no machine, unless it is on one already.
  const pushed = units.filter(({ target }) => verb !== 'submit' || target !== 'inactive');
  const triggers = unknownTriggers(pushed, await preview.load());
  if (triggers.length === 0) return [];
  const { machines } = await observeCluster(ports, {
    names: [...new Set(triggers.map(({ starts }) => starts))],
  });
  const answers = machines.flatMap(({ observation }) => observation ?? []);
  // Unknown when no machine answers; that is reported elsewhere.
  if (answers.length === 0) return [];
  const there = new Set(
    answers
      .flatMap((answer) => answer.units)
      .filter(({ state }) => state.load !== 'not-found')
      .map(({ name }) => name),
  );
  return triggers.filter(({ starts }) => !there.has(starts)).map((trigger) => problemOf(trigger, verb));
}

/** Those of `units` that start a unit which the registry does not have. */
export function unknownTriggers(
  units: readonly DesiredUnit[],
  registry: Pick<RegistryView, 'units'>,
): readonly Trigger[] {
  return units.flatMap(({ name, triggers }) =>
    triggers === undefined || registry.units.has(triggers) ? [] : [{ unit: name, starts: triggers }],
  );
}

function problemOf({ unit, starts }: Trigger, verb: string): UnitProblem {
  const message = `Cannot ${verb} unit "${unit}": it starts "${starts}", which is neither in the registry nor on a machine`;
  return {
    unit,
    error: new FleetError('not-loaded', message, { hint: `Submit it first: fleetctl submit ${starts}` }),
  };
}
