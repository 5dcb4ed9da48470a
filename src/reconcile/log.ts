import { type Failure, isInTarget, type UnitOutcome } from '../cluster/failure.ts';
import type { LoggedEvent, LoggedMachine } from '../cluster/logged-event.ts';
import { type ClusterSnapshot, type MachineView, machineNameOf } from '../cluster/snapshot.ts';
import { mayBeDown } from '../cluster/unreachable.ts';
import type { MachineId } from '../machine/machine.ts';
import type { Edit } from '../registry/edit.ts';
import type { RegistryView } from '../registry/view.ts';
import type { Decision } from '../schedule/decision.ts';

/** The log entries of decisions. */
export function logDecisions(decisions: readonly Decision[], snapshot: ClusterSnapshot): readonly Edit[] {
  const place = (id: MachineId): LoggedMachine => loggedMachine(id, snapshot);
  return log(
    decisions.flatMap((decision): readonly LoggedEvent[] => {
      const { kind, unit } = decision;
      if (kind === 'place') return [{ kind, unit, to: place(decision.machine) }];
      if (kind !== 'move') return [];
      const { from, machine, because } = decision;
      return [{ kind, unit, from: place(from), to: place(machine), because }];
    }),
  );
}

export function loggedMachine(id: MachineId, snapshot: ClusterSnapshot): LoggedMachine {
  return { id, name: machineNameOf(id, snapshot) };
}

/** The log entries of machines that became unreachable or came back since `registry`; `now` is epoch ms. */
export function logReachability(
  views: readonly MachineView[],
  registry: RegistryView,
  now: number,
): readonly Edit[] {
  return log(
    views.flatMap(({ machine: { name }, unreachable }): readonly LoggedEvent[] => {
      const known = registry.machines.get(name);
      const before = known?.silence?.at ?? known?.silentSince;
      if (unreachable !== undefined) {
        const isNew = before === undefined && mayBeDown(unreachable);
        return isNew ? [{ kind: 'machine-lost', machine: name, message: unreachable.message }] : [];
      }
      if (before === undefined) return [];
      return [{ kind: 'machine-back', machine: name, silentMs: Math.max(0, Math.round(now - before)) }];
    }),
  );
}

/**
 * The log entries of outcomes: a failure, unless it equals the last one of the unit on that machine; the first success
 * after a failure; and every success of a restart by a command. Unreachable machines have their own events.
 */
export function logOutcomes(
  outcomes: readonly UnitOutcome[],
  registry: RegistryView,
  isRestarted: (unit: string) => boolean,
): readonly Edit[] {
  const reported = outcomes.length === 0 ? new Map<string, Failure>() : lastFailures(registry);
  return log(
    outcomes.flatMap(({ unit, machine, failure, triggered }): readonly LoggedEvent[] => {
      if (triggered !== undefined) return [];
      const before = reported.get(`${machine} ${unit}`);
      if (failure === undefined || isInTarget(failure)) {
        if (before !== undefined) return [{ kind: 'recovered', unit, machine }];
        return isRestarted(unit) ? [{ kind: 'restart', unit, machine }] : [];
      }
      if (HAS_OWN_EVENT.has(failure.code)) return [];
      const short = inShort(failure);
      return kindOf(short) === kindOf(before) ? [] : [{ kind: 'failed', unit, machine, failure: short }];
    }),
  );
}

/** Failures that have separate events, and those that a later pass removes without a command. */
const HAS_OWN_EVENT: ReadonlySet<Failure['code']> = new Set(['unreachable', 'held', 'gated']);

/** The last reported failures without a later success, by machine and unit. */
function lastFailures({ events }: RegistryView): ReadonlyMap<string, Failure> {
  const failures = new Map<string, Failure>();
  for (const event of events.flatMap((entry) => entry.events)) {
    if (event.kind === 'failed') failures.set(`${event.machine} ${event.unit}`, event.failure);
    if (event.kind === 'recovered') failures.delete(`${event.machine} ${event.unit}`);
  }
  return failures;
}

/** A failure for the log: without its journal, and with only the last line of systemd's message. */
function inShort(failure: Failure): Failure {
  const line = (text: string): string => text.trimEnd().split('\n').at(-1)?.slice(0, 200) ?? '';
  if (failure.code === 'not-up') return { ...failure, detail: line(failure.detail), journal: [] };
  if (failure.code === 'unhealthy') return { ...failure, lines: [] };
  if (failure.code === 'unconfirmed') return { ...failure, cause: failure.cause && inShort(failure.cause) };
  return failure.code === 'step' ? { ...failure, detail: line(failure.detail) } : failure;
}

/** The parts in which two failures differ; times, run ids and counters do not count. */
function kindOf(failure: Failure | undefined): string | undefined {
  if (failure?.code === 'not-up') {
    const { load, active, result, exitCode, exitStatus } = failure.state;
    return ['not-up', load, active, result, exitCode, exitStatus].join(' ');
  }
  if (failure?.code === 'step') return `step ${failure.step}`;
  return failure?.code;
}

function log(events: readonly LoggedEvent[]): readonly Edit[] {
  return events.length === 0 ? [] : [{ kind: 'log', events }];
}
