import { FleetError } from '../base/errors.ts';
import type { DesiredUnit } from '../cluster/snapshot.ts';
import type { Ports } from '../reconcile/ports.ts';
import { previewRegistry } from '../registry/registry.ts';
import type { RegistryView } from '../registry/view.ts';
import { unitNameOf } from './local-file.ts';
import { observeCluster } from './observe-cluster.ts';
import { type Aim, type SubmitRequest, submit } from './submit.ts';
import type { UnitProblem } from './unit-result.ts';

/** A timer, socket, path or automount, and the unit it starts. */
type Trigger = { readonly unit: string; readonly starts: string };

/**
 * The timers, sockets, paths and automounts of a request that have nothing to start: their unit is not in the
 * registry, not among the arguments and on no machine that answers. Machines are asked only when the registry does not have it.
 */
export async function idleTriggers(
  ports: Ports,
  request: SubmitRequest,
  verb: 'start' | 'load' | 'submit',
): Promise<readonly UnitProblem[]> {
  if (!request.units.some(mayTrigger)) return [];
  const preview = previewRegistry(ports.registry, { clock: ports.clock, author: '' });
  const aim: Aim = ({ target }) => (verb !== 'submit' && target === 'inactive' ? 'loaded' : target);
  const { units } = await submit(preview, request, aim);
  // What is only submitted goes to no machine, unless it is on one already.
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

function mayTrigger(argument: string): boolean {
  return ['timer', 'socket', 'path', 'automount'].includes(unitNameOf(argument).type);
}

function problemOf({ unit, starts }: Trigger, verb: string): UnitProblem {
  const message = `Cannot ${verb} unit "${unit}": it starts "${starts}", which is neither in the registry nor on a machine`;
  return {
    unit,
    error: new FleetError('not-loaded', message, { hint: `Submit it first: fleetctl submit ${starts}` }),
  };
}
