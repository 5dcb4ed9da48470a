import { FleetError, isFleetError } from '../base/errors.ts';
import type { DesiredUnit } from '../cluster/snapshot.ts';
import type { RolloutLimits } from '../plan/rollout.ts';
import type { Ports } from '../reconcile/ports.ts';
import { reconcile } from '../reconcile/reconcile.ts';
import type { RegistryView } from '../registry/view.ts';
import { isTemplateName } from '../unit/unit-name.ts';
import { withText } from './find-unit.ts';
import { unitNameOf } from './local-file.ts';
import { overrule, requestedBy } from './overruled.ts';
import { instancesOf, type TemplateResult } from './related-units.ts';
import { noSuchUnit } from './select-units.ts';
import { type RequestResult, requestResult, type UnitProblem } from './unit-result.ts';
import { earlierTexts, type HistoryRow, historyRows } from './unit-texts.ts';

export type RollbackRequest = {
  readonly unit: string;
  /** The prefix of the hash of the wanted text; undefined for the last good text before the present one. */
  readonly to: string | undefined;
  /** What the command gives for the rollout, in place of the options of the unit. */
  readonly limits?: RolloutLimits;
};

/** The result of a rollback, and the restored text. */
export type Rollback = RequestResult & { readonly unit: string; readonly entry: HistoryRow };

/**
 * Restores an earlier text of a unit, as a new entry of its history; the instances of a template follow it. The text is
 * written to its machines, and a running unit is restarted.
 * Throws FleetError `unit-not-found`, and `usage` for a hash that is unknown or ambiguous.
 */
export async function rollback(
  ports: Ports,
  { unit: argument, to, limits }: RollbackRequest,
): Promise<Rollback> {
  const unit = unitNameOf(argument).text;
  let chosen: HistoryRow | undefined;
  let problems: UnitProblem[] = [];
  let templates: readonly TemplateResult[] = [];
  let changed: readonly DesiredUnit[] = [];
  const known = await ports.registry.update((view) => {
    problems = [];
    const entry = to === undefined ? previousText(unit, view) : namedText(unit, to, view);
    chosen = entry;
    const instances = instancesOf(unit, view);
    templates = isTemplateName(unit) ? [{ template: unit, ...instances, behind: [] }] : [];
    changed = [unit, ...instances.following].flatMap((name) => withEntry(name, entry, view, problems));
    return changed
      .filter(({ name, digest }) => view.units.get(name)?.digest !== digest)
      .map((each) => ({ kind: 'put-unit', unit: each }) as const);
  });
  if (chosen === undefined) throw new TypeError('update decided nothing');
  const names = new Set(changed.map(({ name }) => name));
  const report = await reconcile(ports, names, { limits, known });
  const requested = requestedBy({ stored: changed, created: new Set(), replaced: names }, () => []);
  const result = { ...requestResult(report, problems), templates, unit, entry: chosen };
  return overrule(ports, requested, result, report.settled);
}

/**
 * The last good text before the present one. Without a good one, as in a registry of fleet 0.1.0 or for a unit that was never
 * started, the last one that is not known to have failed.
 */
function previousText(unit: string, view: RegistryView): HistoryRow {
  const rows = rowsOfKnown(unit, view);
  const earlier = earlierTexts(rows);
  const found =
    earlier.find(({ verdict }) => verdict?.kind === 'good') ??
    earlier.find(({ verdict }) => verdict === undefined);
  if (found !== undefined) return found;
  const isOnly = new Set(rows.map(({ digest }) => digest)).size < 2;
  const why = isOnly ? 'it never had another text' : 'it has no earlier good text';
  throw new FleetError('usage', `Cannot roll back unit "${unit}": ${why}`, {
    hint: isOnly
      ? (instancesHint(unit, view) ?? `Give it another text: fleetctl start --replace ${unit}`)
      : `Choose one of its texts: fleetctl history ${unit}, and then fleetctl rollback ${unit} --to HASH`,
  });
}

/** The hint for a template without earlier texts, whose instances may have some. */
function instancesHint(unit: string, view: RegistryView): string | undefined {
  const [instance] = instancesOf(unit, view).following;
  return instance && `Its instances have their own texts: fleetctl rollback ${instance}`;
}

/** The newest text whose hash begins with `prefix`; texts that differ only in comments have the same hash. */
function namedText(unit: string, prefix: string, view: RegistryView): HistoryRow {
  const found = rowsOfKnown(unit, view).filter(({ hash }) => hash.startsWith(prefix.toLowerCase()));
  const hashes = new Set(found.map(({ hash }) => hash));
  const [first] = found;
  const hint = `Its texts: fleetctl history --full ${unit}`;
  if (first === undefined || prefix === '')
    throw new FleetError('usage', `Cannot roll back unit "${unit}": it never had hash "${prefix}"`, { hint });
  if (hashes.size === 1) return first;
  const many = `Cannot roll back unit "${unit}": ${hashes.size} of its hashes begin with "${prefix}"`;
  throw new FleetError('usage', many, { hint });
}

function rowsOfKnown(unit: string, view: RegistryView): readonly HistoryRow[] {
  if (view.units.has(unit)) return historyRows(unit, view);
  if (view.history(unit).length === 0) throw noSuchUnit(unit).error;
  throw new FleetError('unit-not-found', `Cannot roll back unit "${unit}": it was destroyed`, {
    hint: `Submit it again: fleetctl submit ${unit}`,
  });
}

function withEntry(
  name: string,
  entry: HistoryRow,
  view: RegistryView,
  problems: UnitProblem[],
): readonly DesiredUnit[] {
  const unit = view.units.get(name);
  if (unit === undefined) return [];
  try {
    return [withText(unit, { fileText: view.text(entry.digest), path: name })];
  } catch (error) {
    if (!isFleetError(error)) throw error;
    problems.push({ unit: name, error });
    return [];
  }
}
