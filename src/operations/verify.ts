import { dirname, join } from 'node:path';
import { FleetError, isFleetError } from '../base/errors.ts';
import type { Reason } from '../cluster/reason.ts';
import { type ClusterSnapshot, type DesiredUnit, type MachineView, observedOn } from '../cluster/snapshot.ts';
import { selectMachine } from '../machine/selector.ts';
import { withObservations } from '../reconcile/observe.ts';
import type { Ports } from '../reconcile/ports.ts';
import { snapshotOf } from '../reconcile/snapshot.ts';
import { previewRegistry } from '../registry/registry.ts';
import { machinesOf } from '../schedule/decision.ts';
import { explain } from '../schedule/explain.ts';
import type { MachineSession } from '../systemd/driver.ts';
import { verifyQuery } from '../systemd/queries.ts';
import { isTemplate, isTemplateName, parseUnitName } from '../unit/unit-name.ts';
import { type MachineRef, machineRef, type UnreachableMachine, unreachableMachines } from './listing.ts';
import { unitNameOf } from './local-file.ts';
import { expandGlobs, unknownTriggers } from './request-arguments.ts';
import { type SubmitRequest, submit } from './submit.ts';
import type { UnitProblem } from './unit-result.ts';

/** The result of one machine for the units that it could get. */
export type MachineVerdict = {
  readonly machine: MachineRef;
  readonly units: readonly string[];
  /** The units among them that do not pass. */
  readonly failed: readonly string[];
  /** The problems that systemd reports, one per line; none if they pass. */
  readonly problems: readonly string[];
};

export type Verification = {
  /** The problems that fleet itself finds in the files. */
  readonly problems: readonly UnitProblem[];
  readonly machines: readonly MachineVerdict[];
  /** Machines that did not answer. */
  readonly unreachable: readonly UnreachableMachine[];
  readonly passed: boolean;
};

/** Files or units of the registry to check, on `machine` or on all machines that could get them. */
export type VerifyUnits = SubmitRequest & { readonly machine: string | undefined };

/**
 * Checks units as they would be after a submit, without changes: first by fleet, then by systemd on every machine that could
 * get a unit, all files together. Throws FleetError `machine-not-found`.
 */
export async function verify(ports: Ports, request: VerifyUnits): Promise<Verification> {
  const preview = previewRegistry(ports.registry, { clock: ports.clock, author: '' });
  const expanded = await expandGlobs(ports.registry, request, 'with templates');
  const submission = await submit(preview, expanded.request);
  const { units: named } = submission;
  const problems = [...expanded.unmatched, ...submission.problems];
  const bad = new Set(problems.map(({ unit }) => unit));
  const units = named.filter(({ name }) => !bad.has(name));
  const registry = await preview.load();
  const triggers = unknownTriggers(units, registry);
  // systemctl rejects the name of a template.
  const runnable = units.map(({ name }) => name).filter((name) => !isTemplateName(name));
  const names = [...new Set([...runnable, ...triggers.map(({ starts }) => starts)])];
  return withObservations(ports, registry, { names, digests: false }, async ({ views, sessions }) => {
    const snapshot = snapshotOf(ports, registry, views);
    const target = request.machine === undefined ? undefined : selectMachine(request.machine, views);
    const places = placesOf(units, snapshot, target);
    const own = [
      ...problems,
      ...triggers.filter(({ starts }) => !isSomewhere(starts, views)).map(idleProblem),
      ...units
        .filter(({ name }) => ![...places.values()].flat().includes(name))
        .map(({ name }) => nowhereProblem(name, expanded.request.units)),
    ];
    const machines = await askMachines(places, units, sessions);
    const passed = own.length === 0 && machines.every((each) => each.problems.length === 0);
    return { problems: own, machines, unreachable: unreachableOf(snapshot, target), passed };
  });
}

/** Machine → the units that it could get; only machines that answered. */
function placesOf(
  units: readonly DesiredUnit[],
  snapshot: ClusterSnapshot,
  target: MachineView | undefined,
): ReadonlyMap<MachineView, readonly string[]> {
  const places = new Map<MachineView, string[]>();
  const put = (machine: MachineView, unit: string): void => {
    if (machine.observation === undefined) return;
    places.set(machine, [...(places.get(machine) ?? []), unit]);
  };
  const set = new Set(units.map(({ name }) => name));
  for (const unit of units) {
    if (target !== undefined) {
      put(target, unit.name);
      continue;
    }
    const { machines, decision } = explain(snapshot, unit);
    const wanted = machinesOf(decision);
    for (const { machine, results } of machines) {
      const against = results.filter(({ reason }) => reason !== undefined && !waitsForOther(reason, set));
      if (against.length === 0 || wanted.includes(machine.id ?? '')) put(machine, unit.name);
    }
  }
  return places;
}

/** Whether a violation only means that a companion of the unit is not on a machine yet. */
function waitsForOther(reason: Reason, set: ReadonlySet<string>): boolean {
  if (reason.code === 'machine-of-nowhere') return set.has(reason.unit);
  return reason.code === 'not-triggered' || reason.code === 'triggered-elsewhere';
}

function askMachines(
  places: ReadonlyMap<MachineView, readonly string[]>,
  units: readonly DesiredUnit[],
  sessions: ReadonlyMap<string, MachineSession>,
): Promise<readonly MachineVerdict[]> {
  const files = units.map(({ name, text }) => ({ name, text }));
  return Promise.all(
    [...places].map(async ([view, names]): Promise<MachineVerdict> => {
      const verdict = { machine: machineRef(view), units: names };
      try {
        const said = await sessions.get(view.machine.name)?.ask(verifyQuery({ files, units: names }));
        const problems = said ?? ['it does not answer'];
        return { ...verdict, failed: unitsBlamed(names, problems), problems };
      } catch (error) {
        if (!isFleetError(error)) throw error;
        return { ...verdict, failed: names, problems: [error.message] };
      }
    }),
  );
}

function isSomewhere(unit: string, views: readonly MachineView[]): boolean {
  const found = views.map((view) => observedOn(view, unit));
  return found.some((each) => each !== undefined && each.state.load !== 'not-found');
}

function idleProblem({ unit, starts }: { unit: string; starts: string }): UnitProblem {
  const message = `Unit "${unit}" starts "${starts}", which is neither among the files nor in the registry nor on a machine`;
  const hint = `Name its file too, or submit it first: fleetctl submit ${starts}`;
  return { unit, error: new FleetError('not-loaded', message, { hint }) };
}

/** `arguments_` contain the path of the file. */
function nowhereProblem(unit: string, arguments_: readonly string[]): UnitProblem {
  const argument = arguments_.find((each) => unitNameOf(each).text === unit) ?? unit;
  const name = parseUnitName(unit);
  // A template is explained by an instance of it.
  const explained = isTemplate(name) ? join(dirname(argument), `${name.prefix}@1.${name.type}`) : argument;
  const error = new FleetError('placement', `Cannot verify unit "${unit}": no machine that answers fits it`, {
    hint: `Why: fleetctl explain ${explained}; or name a machine with --machine`,
  });
  return { unit, error };
}

function unreachableOf(
  snapshot: ClusterSnapshot,
  target: MachineView | undefined,
): readonly UnreachableMachine[] {
  const all = unreachableMachines(snapshot);
  return target === undefined ? all : all.filter(({ machine }) => machine.name === target.machine.name);
}

/**
 * The units to which lines of systemd-analyze(1) refer: each line refers to the first unit that it names. A line that names
 * none may refer to any of them.
 */
export function unitsBlamed(units: readonly string[], lines: readonly string[]): readonly string[] {
  const patterns = units.map((unit) => [unit, patternOf(unit)] as const);
  const blamed = new Set<string>();
  for (const line of lines) {
    const named = patterns
      .map(([unit, pattern]) => ({ unit, at: line.search(pattern) }))
      .filter(({ at }) => at >= 0)
      // An instance is named before its template, which matches it as well.
      .toSorted((a, b) => a.at - b.at || Number(isTemplateName(a.unit)) - Number(isTemplateName(b.unit)));
    if (named[0] === undefined) return units;
    blamed.add(named[0].unit);
  }
  return units.filter((unit) => blamed.has(unit));
}

/** Matches the name as a whole word; for a template also with the instance that systemd uses for the check. */
function patternOf(unit: string): RegExp {
  const name = unit.replaceAll(/[.\\]/g, String.raw`\$&`);
  const any = isTemplateName(unit) ? name.replace('@', String.raw`@[\w:.\\-]*`) : name;
  return new RegExp(String.raw`(?<![\w:.\\@-])${any}(?![\w\\@-])`);
}
