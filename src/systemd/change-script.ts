import { isAlias } from '../plan/links.ts';
import { hasStep, type UnitChange } from '../plan/step.ts';
import { encodeForPrintf, quote } from '../ssh/shell.ts';
import { parseUnitName, templateOf } from '../unit/unit-name.ts';
import { attempt, type Indexed, isOfTemplate, orderedUnits, recordOf, type Waits } from './change-words.ts';
import { leaseWords } from './lease.ts';
import { writeRecord } from './record.ts';
import { complete, LOCK_WAIT_SECONDS } from './script.ts';
import { startUnits, watchStarts } from './start-script.ts';
import { isDown, stopUnits } from './stop-script.ts';

/**
 * Makes the changes, in this order: lock · cluster · lost records · guards · new files and records beside their places, verified ·
 * links away · stop and wait · records, links, renames, removals · one daemon-reload · records of what was removed ·
 * start · unlock · wait · settle · report. A stop comes before the rename, so that ExecStop= of the text that runs is
 * what runs; and after what would have systemd start the unit again. While a stop is waited for the lock is free, and
 * tokens are checked again after it: a stuck unit never keeps others from the machine. Without waiting, a stop is
 * still waited for if a file is replaced or removed after it.
 * Sections carry the index of their change (`guard:0`); a change that fails is skipped from there on.
 */
export function changeScript(changes: readonly UnitChange[], clusterId: string, waits: Waits): string {
  const all = changes.map((change, index) => ({ change, index }));
  return complete('change', [
    `clock; began=$now changed= deadline= ran= again= ${all.map(({ index }) => `skip${index}=`).join(' ')}`,
    ...deadline(waits.ms),
    'step prepare prepare || return',
    'step lock lock || return',
    `step cluster cluster ${quote(clusterId)} || return`,
    ...all.flatMap(adopt),
    ...all.flatMap(guards),
    ...all.filter(({ change }) => hasStep(change, 'check')).map(check),
    ...draftRecords(all),
    ...putFiles(all),
    ...stopUnits(all, all.flatMap(guards), waits),
    ...all.flatMap(settleFiles),
    ...all.filter(({ change }) => hasStep(change, 'forbid')).map(forbid),
    '[ -z "$changed" ] || step reload reload || return',
    ...forgetRemoved(all.filter(({ change }) => hasStep(change, 'remove'))),
    ...all.flatMap(checkLease),
    ...startUnits(all),
    ...all.flatMap(lookAtTemplate),
    'for file in .fleet-$$-* "$L/tmp/$$-"*; do [ ! -e "$file" ] || rm -f "$file"; done',
    'leave',
    ...watchStarts(all, waits),
  ]);
}

function adopt({ change: { unit, token, steps }, index }: Indexed): readonly string[] {
  const step = steps.find(({ kind }) => kind === 'adopt');
  if (step?.kind !== 'adopt') return [];
  const { digest } = step.record;
  const words = [quote(unit), token, quote(digest), encodeForPrintf(writeRecord(step.record))];
  return [attempt(index, 'adopt', `adopt ${words.join(' ')}`)];
}

function guard({ change, index }: Indexed): string {
  if (hasStep(change, 'forbid')) return attempt(index, 'guard', `seen ${quote(change.unit)} ${change.token}`);
  const template = templateOf(parseUnitName(change.unit))?.text ?? '';
  const words = [template, ...(recordOf(change)?.links ?? []).filter(isAlias)];
  const tokens = `${change.token} ${quote(`${change.over ?? ''}`)}`;
  return attempt(index, 'guard', `guard ${quote(change.unit)} ${tokens} ${words.map(quote).join(' ')}`);
}

/** Records wait beside their places, so that they are on the disk together with the new files. */
function draftRecords(all: readonly Indexed[]): readonly string[] {
  return all.flatMap(({ change, index }) => {
    const step = recordOf(change);
    if (step === undefined) return [];
    return [
      `record${index}=${encodeForPrintf(writeRecord(step.record))}`,
      `[ "$skip${index}" ] || draft ${index} "$record${index}" 2>/dev/null`,
    ];
  });
}

function putFiles(all: readonly Indexed[]): readonly string[] {
  const files = all.flatMap(({ change, index }) => {
    const write = change.steps.find((step) => step.kind === 'write');
    const digest = recordOf(change)?.record.digest ?? '';
    return write === undefined ? [] : [{ index, text: write.text, digest }];
  });
  if (files.length === 0)
    return all.some(({ change }) => hasStep(change, 'record')) ? ['step flush flush || return'] : [];
  return [
    ...files.map(({ index, text }) => attempt(index, 'put', `put ${index} ${encodeForPrintf(text)}`)),
    'sums="$(sha256sum -- .fleet-$$-* 2>/dev/null </dev/null)\n"',
    ...files.map(({ index, digest }) => attempt(index, 'verify', `verify ${index} ${digest}`)),
    'step flush flush || return',
  ];
}

/** All waits of a change end at the same time, and the one for the lock does not last longer. */
function deadline(ms: number | undefined): readonly string[] {
  if (ms === undefined) return [];
  const lockSeconds = Math.min(LOCK_WAIT_SECONDS, Math.ceil(ms / 1000));
  return [`clock && deadline=$((now + ${Math.ceil(ms / 10)})) W=${lockSeconds}`];
}

function settleFiles({ change, index }: Indexed): readonly string[] {
  const unit = quote(change.unit);
  const step = recordOf(change);
  if (hasStep(change, 'remove')) return [attempt(index, 'remove', `remove ${unit}`)];
  if (step === undefined) return [];
  const links = step.links.map((link) => ` ${quote(link)}`).join('');
  const { fence = '' } = step;
  return [
    fence === '' ? 'fenced=' : `fenced=${encodeForPrintf(fence)}`,
    attempt(index, 'install', `note ${index} ${unit} "$record${index}"${links}`),
  ];
}

/**
 * Else systemd would list a unit that has failed as `not-found failed`, and call the machine degraded. What was started
 * between its stop and the reload keeps its record, for it runs.
 */
function forgetRemoved(removals: readonly Indexed[]): readonly string[] {
  if (removals.length === 0) return [];
  return [
    'step look look',
    ...removals.map(({ change, index }) => attempt(index, 'gone', isDown(change))),
    ...orderedUnits(removals),
    '[ $# -eq 0 ] || step forget batch reset_failed "$@"',
    ...removals.map(({ change: { unit, token }, index }) =>
      attempt(index, 'bury', `bury ${quote(unit)} ${token}`),
    ),
  ];
}

function check({ change: { unit }, index }: Indexed): string {
  return attempt(index, 'check', `check ${quote(unit)}`);
}

function forbid({ change: { unit, token }, index }: Indexed): string {
  return attempt(index, 'forbid', `forbid ${quote(unit)} ${token}`);
}

/** Nothing of a template runs: its file is all there is of it. */
function lookAtTemplate({ change, index }: Indexed): readonly string[] {
  const digest = recordOf(change)?.record.digest;
  if (digest === undefined || !isOfTemplate(change)) return [];
  return [attempt(index, 'file', `has ${quote(change.unit)} ${digest}`)];
}

function guards(indexed: Indexed): readonly string[] {
  return [guard(indexed), ...checkLease(indexed)];
}

/** What is to run under a lease that is over by now is neither brought nor started. */
function checkLease({ change, index }: Indexed): readonly string[] {
  const under = change.steps.flatMap((step) => ('under' in step ? (step.under ?? []) : []))[0];
  return under === undefined ? [] : [attempt(index, 'under', `under ${leaseWords(under)}`)];
}
