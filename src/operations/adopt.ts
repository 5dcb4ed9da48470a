import { FleetError } from '../base/errors.ts';
import { type DesiredUnit, type MachineView, observedOn } from '../cluster/snapshot.ts';
import { isForeign, isRunning } from '../cluster/unit-state.ts';
import type { Machine } from '../machine/machine.ts';
import { selectMachine } from '../machine/selector.ts';
import { withObservations } from '../reconcile/observe.ts';
import type { Ports } from '../reconcile/ports.ts';
import { reconcile } from '../reconcile/reconcile.ts';
import type { RegistryView } from '../registry/view.ts';
import type { Become } from '../ssh/become.ts';
import { quote } from '../ssh/shell.ts';
import { unitFileQuery } from '../systemd/queries.ts';
import { templateOf, type UnitName } from '../unit/unit-name.ts';
import { draftOf } from './draft.ts';
import { type LocalUnit, unitNameOf } from './local-file.ts';
import { overrule, requestedBy } from './overruled.ts';
import { refuseTemplate } from './set-target-state.ts';
import { type RequestResult, requestResult } from './unit-result.ts';

/** A unit, and a machine that has it already: by its name, its address or the beginning of its id. */
export type AdoptRequest = { readonly unit: string; readonly machine: string };

/**
 * Takes over a unit that runs on a machine without fleet: stores its file as it is there, and the machine as its assignment.
 * A pass then writes the record of a unit whose file has the text of the registry, and does not restart it. An instance that
 * runs from its template gets a copy of that file. A running unit becomes launched, any other one loaded. Throws FleetError
 * `unit-not-found`, `machine-not-found`, and `contradiction` for a unit that fleet has or cannot take over.
 */
export async function adopt(ports: Ports, { unit: argument, machine }: AdoptRequest): Promise<RequestResult> {
  refuseTemplate(argument, 'adopt');
  const name = unitNameOf(argument);
  const registry = await ports.registry.load();
  refuseKnown(name, registry);
  const { view, file } = await readUnitFile(ports, registry, name, machine);
  let stored: readonly DesiredUnit[] = [];
  const observed = observedOn(view, name.text);
  const target = observed !== undefined && isRunning(observed.state) ? 'launched' : 'loaded';
  const known = await ports.registry.update((current) => {
    refuseKnown(name, current);
    const locals = [localUnit(name, file, current)];
    const draft = draftOf(current, { locals, replace: false, aim: () => target });
    for (const { error } of draft.problems) throw error;
    stored = draft.changes().map((unit) => ({ ...unit, machine: view.id }));
    if (stored.some(({ placement }) => placement.global))
      throw cannot(name, 'it is global', 'Start it instead');
    return stored.map((unit) => ({ kind: 'put-unit', unit }));
  });
  const report = await reconcile(ports, new Set([name.text]), { known });
  const submission = { stored, created: new Set([name.text]), replaced: new Set<string>() };
  return overrule(
    ports,
    requestedBy(submission, (each) => [each]),
    requestResult(report, []),
    report.settled,
  );
}

/** `isOfTemplate`: the file is that of the instance's template. */
type UnitFile = { readonly path: string; readonly text: string; readonly isOfTemplate: boolean };

type Found = { readonly view: MachineView; readonly file: UnitFile };

/** The unit with its file; an instance follows its template, unless the registry has another text of that. */
function localUnit(
  name: UnitName,
  { path, text, isOfTemplate }: UnitFile,
  { units }: RegistryView,
): LocalUnit {
  const file = { path, content: text };
  const stored = units.get(templateOf(name)?.text ?? '');
  const follows = isOfTemplate && (stored === undefined || stored.text === text);
  return {
    name,
    own: follows ? undefined : file,
    template: follows ? file : undefined,
    beside: new Set(),
  };
}

/** The file that the unit on the machine runs from, which must be one of the administrator, or of its template. */
function readUnitFile(ports: Ports, registry: RegistryView, name: UnitName, machine: string): Promise<Found> {
  const request = { names: [name.text], digests: true };
  return withObservations(ports, registry, request, async ({ views, sessions }) => {
    const view = selectMachine(machine, views);
    const fragment = fragmentOf(view, name);
    const session = sessions.get(view.machine.name);
    const template = templateOf(name);
    const own = await session?.ask(unitFileQuery(name.text));
    const file = own ?? (template && (await session?.ask(unitFileQuery(template.text))));
    if (file !== undefined && file.path === fragment)
      return { view, file: { ...file, isOfTemplate: own === undefined } };
    const what = fragment === '' ? 'missing' : `"${fragment}"`;
    throw cannot(
      name,
      `its file on machine "${view.machine.name}" is ${what}, not a regular file of the administrator`,
      fragment === '' ? undefined : copyHint(fragment, name, view.machine, session?.become),
    );
  });
}

/** The path of the file of a unit that fleet has not installed. */
function fragmentOf(view: MachineView, name: UnitName): string {
  const { unreachable } = view;
  if (unreachable !== undefined) throw cannot(name, unreachable.message, unreachable.hint);
  const observed = observedOn(view, name.text);
  const where = `machine "${view.machine.name}"`;
  if (observed === undefined || observed.state.load === 'not-found')
    throw new FleetError('unit-not-found', `Cannot adopt unit "${name.text}": ${where} does not have it`, {
      hint: `Units there: fleetctl ssh ${view.machine.name} systemctl list-units`,
    });
  if (isForeign(observed)) return observed.state.fragment;
  throw cannot(name, `fleet has installed it on ${where}`, 'Run "fleetctl recover", or destroy it');
}

/** systemd reads the copy after a reload only. Both need root's rights, which `become` gives. */
function copyHint(path: string, { text }: UnitName, { name }: Machine, become: Become | undefined): string {
  const to = `/etc/systemd/system/${text}`;
  const line = `cp --remove-destination ${quote(path)} ${quote(to)} && systemctl daemon-reload`;
  const asRoot = become === undefined ? line : `${become} sh -c ${quote(line)}`;
  return `Copy it: fleetctl ssh ${name} ${quote(asRoot)}`;
}

function refuseKnown(name: UnitName, { units, unreadable }: RegistryView): void {
  const error = unreadable.get(name.text);
  if (error !== undefined) throw error;
  if (!units.has(name.text)) return;
  throw cannot(name, 'the registry has it already', `Its machine: fleetctl explain ${name.text}`);
}

function cannot(name: UnitName, why: string, hint: string | undefined): FleetError {
  return new FleetError('contradiction', `Cannot adopt unit "${name.text}": ${why}`, { hint });
}
