import { FleetError, isFleetError } from '../base/errors.ts';
import { formatDuration } from '../base/time.ts';
import type { LoggedEvent } from '../cluster/logged-event.ts';
import type { TargetState } from '../cluster/unit-state.ts';
import type { Ports } from '../reconcile/ports.ts';
import type { RegistryView } from '../registry/view.ts';
import type { Submission } from './submit.ts';
import type { RequestResult, UnitProblem, UnitResult } from './unit-result.ts';
import { isUnschedulable } from './unschedulable.ts';

/** The part of a request about one unit. */
export type Requested = {
  readonly unit: string;
  /** The target states that satisfy the request; empty if it did not set one. */
  readonly targets: readonly TargetState[];
  /** The text that it used, and whether it stored it; undefined if the text does not matter. */
  readonly text: { readonly digest: string; readonly isNew: boolean } | undefined;
};

/** The requests of a submission; `targets` are the target states that satisfy one. */
export function requestedBy(
  { stored, created, replaced }: Pick<Submission, 'stored' | 'created' | 'replaced'>,
  targets: (target: TargetState) => readonly TargetState[],
): readonly Requested[] {
  return stored.map(({ name, target, digest }) => ({
    unit: name,
    targets: targets(target),
    text: { digest, isNew: created.has(name) || replaced.has(name) },
  }));
}

/** Requests that set one target state, whatever the texts are. */
export function requestedTarget(units: Iterable<string>, target: TargetState): readonly Requested[] {
  return [...units].map((unit) => ({ unit, targets: [target], text: undefined }));
}

/**
 * The result of a request after its pass. A unit that another command has changed in the registry in the meantime becomes a
 * problem. The registry after the pass is read unless `settled` is given; if it cannot be read any more, that is an additional
 * problem.
 */
export async function overrule<Result extends RequestResult>(
  { registry, clock }: Pick<Ports, 'registry' | 'clock'>,
  requested: readonly Requested[],
  result: Result,
  settled: RegistryView | undefined,
): Promise<Result> {
  if (requested.length === 0) return result;
  if (settled !== undefined) return withOverruled(requested, result, settled, clock.now());
  try {
    return await registry.read((view) => withOverruled(requested, result, view, clock.now()));
  } catch (error) {
    if (!isFleetError(error)) throw error;
    const problems = requested.slice(0, 1).map(({ unit }) => ({ unit, error }));
    return { ...result, problems: [...result.problems, ...problems] };
  }
}

/**
 * {@link overrule} after a pass that has removed units from their machines: those in `removed` are deleted from the registry too,
 * unless another command wants them again.
 */
export async function overruleAndDelete(
  { registry, clock }: Pick<Ports, 'registry' | 'clock'>,
  requested: readonly Requested[],
  result: RequestResult,
  removed: ReadonlySet<string>,
): Promise<RequestResult> {
  let request = result;
  await registry.update((view) => {
    request = withOverruled(requested, result, view, clock.now());
    return request.results
      .filter(({ unit, failures }) => removed.has(unit) && failures.length === 0 && view.units.has(unit))
      .map(({ unit }) => ({ kind: 'delete-unit', name: unit }));
  });
  return request;
}

/** The result of a request, with `view` as the registry after it; `now` is epoch ms. */
function withOverruled<Result extends RequestResult>(
  requested: readonly Requested[],
  result: Result,
  view: RegistryView,
  now: number,
): Result {
  const failed = new Set(result.results.filter(isFailed).map(({ unit }) => unit));
  const restored = new Set(result.restored?.map(({ unit }) => unit));
  const overruled = requested.flatMap((each): readonly UnitProblem[] => {
    if (restored.has(each.unit)) return [];
    const change = changeOf(each, failed.has(each.unit), view);
    return change === undefined ? [] : [{ unit: each.unit, error: overruledError(change, view, now) }];
  });
  if (overruled.length === 0) return result;
  const names = new Set(overruled.map(({ unit }) => unit));
  const created = new Set([...(result.created ?? [])].filter((name) => !names.has(name)));
  return {
    ...result,
    results: result.results.filter(({ unit }) => !names.has(unit)),
    ...(result.created && { created }),
    problems: [...result.problems, ...overruled],
  };
}

type Change = Extract<LoggedEvent, { kind: 'target' | 'text' | 'destroy' }>;

/**
 * The change of another command, as an event of the log. Another text matters only if this request stored one, or if the
 * unit did not come up. A destroyed unit counts as inactive.
 */
function changeOf(
  { unit, targets, text }: Requested,
  hasFailed: boolean,
  view: RegistryView,
): Change | undefined {
  const now = view.units.get(unit);
  if (now === undefined) return targets.includes('inactive') ? undefined : { kind: 'destroy', unit };
  const { target, digest, hash } = now;
  if (targets.length > 0 && !targets.includes(target)) return { kind: 'target', unit, target };
  if (text === undefined || text.digest === digest) return undefined;
  return text.isNew || hasFailed ? { kind: 'text', unit, hash } : undefined;
}

function isFailed(result: UnitResult): boolean {
  return isUnschedulable(result) || result.failures.length > 0;
}

/** `Unit "x.service" was stopped by bob@desk 2s ago; its target state is loaded`. */
function overruledError(change: Change, view: RegistryView, now: number): FleetError {
  const { unit } = change;
  const entry = view.events.findLast(({ events }) => events.some((event) => isSame(event, change)));
  const target = view.units.get(unit)?.target;
  const rest = target === undefined ? '' : `; its target state is ${target}`;
  return new FleetError('overruled', `Unit "${unit}" ${done(change)} by ${authorOf(entry, now)}${rest}`, {
    hint: `To see its events: fleetctl events ${unit}`,
  });
}

/** The author and age of an event, at least one second, because the clocks of two computers differ. */
function authorOf(entry: { readonly at: number; readonly by: string } | undefined, now: number): string {
  if (entry === undefined) return 'another command';
  const seconds = Math.max(1, Math.round((now - entry.at) / 1000));
  return `${entry.by} ${formatDuration(seconds * 1000)} ago`;
}

function isSame(event: LoggedEvent, change: Change): boolean {
  if (event.kind !== change.kind || event.unit !== change.unit) return false;
  if (change.kind === 'target') return 'target' in event && event.target === change.target;
  return change.kind === 'destroy' || ('hash' in event && event.hash === change.hash);
}

const BY_TARGET = {
  launched: 'was started',
  loaded: 'was stopped',
  inactive: 'was unloaded or destroyed',
} as const;

function done(change: Change): string {
  if (change.kind === 'target') return BY_TARGET[change.target];
  return change.kind === 'destroy' ? 'was destroyed' : `got another text, ${change.hash.slice(0, 7)},`;
}
