import { FleetError, isFleetError } from '../base/errors.ts';
import { formatDuration } from '../base/time.ts';
import type { LoggedEvent } from '../cluster/logged-event.ts';
import type { TargetState } from '../cluster/unit-state.ts';
import type { Ports } from '../reconcile/ports.ts';
import type { RegistryView } from '../registry/view.ts';
import type { Submission } from './submit.ts';
import { isUnschedulable, type RequestResult, type UnitProblem, type UnitResult } from './unit-result.ts';

/** What a request stored about one unit. */
export type Requested = {
  readonly unit: string;
  /** The target states that are as good as the one that it stored, that one among them; none where it set none. */
  readonly targets: readonly TargetState[];
  /** The text that it used, and whether it stored it; undefined where the text did not matter. */
  readonly text: { readonly digest: string; readonly isNew: boolean } | undefined;
};

/** What a submission asks of the units that it stored or found; `targets` are those that a target state stands for. */
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

/**
 * The result of a request after its pass, as far as the registry still wants what was requested. A unit about which
 * another command has decided meanwhile is a problem instead, whatever the pass saw of it. So is a registry that cannot be
 * read any more, beside the result.
 */
export async function overrule<Result extends RequestResult>(
  { registry, clock }: Pick<Ports, 'registry' | 'clock'>,
  requested: readonly Requested[],
  result: Result,
): Promise<Result> {
  if (requested.length === 0) return result;
  try {
    return withOverruled(requested, result, await registry.load(), clock.now());
  } catch (error) {
    if (!isFleetError(error)) throw error;
    const problems = requested.slice(0, 1).map(({ unit }) => ({ unit, error }));
    return { ...result, problems: [...result.problems, ...problems] };
  }
}

/** The pure part of {@link overrule}; `now` is epoch ms. */
export function withOverruled<Result extends RequestResult>(
  requested: readonly Requested[],
  result: Result,
  view: RegistryView,
  now: number,
): Result {
  const failed = new Set(result.results.filter(isFailed).map(({ unit }) => unit));
  const overruled = requested.flatMap((each): readonly UnitProblem[] => {
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
 * What another operator has decided, in the words of the log. Another text matters to an operator that stored one, and where the
 * unit did not come up; a unit that is destroyed is inactive as well.
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
    hint: `What was decided about it: fleetctl events ${unit}`,
  });
}

/** Clocks of two computers differ: what was decided after our own decision was decided a second ago at least. */
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

const BY_TARGET = { launched: 'was started', loaded: 'was stopped', inactive: 'was unloaded' } as const;

function done(change: Change): string {
  if (change.kind === 'target') return BY_TARGET[change.target];
  return change.kind === 'destroy' ? 'was destroyed' : `got another text, ${change.hash.slice(0, 7)},`;
}
