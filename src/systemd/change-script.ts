import { hasStep, type Step, type UnitChange } from '../plan/step.ts';
import { encodeForPrintf, quote } from '../ssh/shell.ts';
import { parseUnitName, templateOf } from '../unit/unit-name.ts';
import {
  downCommand,
  ifAny,
  isLowered,
  isOfTemplate,
  isStopOnly,
  type Numbered,
  numbered,
  provenStep,
  recordOf,
  setUnits,
  startUnits,
  stepCommand,
  stopUnits,
  type Waits,
  watchStarts,
} from './change-jobs.ts';
import { CONFIRM_FUNCTIONS } from './confirmation.ts';
import { leaseWords, type VoterPlace, voterWords } from './queries.ts';
import { writeRecord } from './record.ts';
import { complete, LOCK_WAIT_SECONDS } from './script.ts';

/** The cluster that a machine belongs to, and where the voters of its registry are, if it is on the machines. */
export type Owner = { readonly clusterId: string; readonly voters?: readonly VoterPlace[] };

/**
 * Makes the changes, in this order: lock · cluster · lost records · guards · new files and records beside their places, verified ·
 * reverts armed · links removed · stop and wait · records, links, renames, removals · one daemon-reload · records of removed units ·
 * start · unlock · wait · settle · report. Links are removed before a stop, so that systemd does not start the unit
 * again. A stop comes before the rename, so that ExecStop= of the running text runs. The lock is free during the wait for
 * a stop, and tokens are checked again after it, so that a stuck unit never blocks other changes. Sections have the index
 * of their change (`guard:0`); a change that fails is skipped from there on. Reverts
 * that are armed have `by`, an id of this script.
 */
export function changeScript(
  changes: readonly UnitChange[],
  { clusterId, voters = [] }: Owner,
  waits: Waits,
  by: string,
): string {
  const all = changes.map(numbered);
  const having = (kind: Step['kind']): readonly Numbered[] =>
    all.filter(({ change }) => hasStep(change, kind));
  const guards = all.flatMap((each) => [guard(each), ...checkLease(each)]);
  const functions = having('arm').length > 0 ? CONFIRM_FUNCTIONS : '';
  const script = complete('change', [
    `clock; began=$now ${VARIABLES.map((name) => `${name}=`).join(' ')} by=${quote(by)} ${all.map(({ index }) => `skip${index}=`).join(' ')}`,
    `stops=${quote(
      changes
        .filter(needsNoPlace)
        .map(({ unit }) => unit)
        .join(' '),
    )}`,
    ...deadline(waits.ms),
    'step prepare prepare || return',
    'step lock lock || return',
    `step cluster cluster ${[clusterId, ...voterWords(voters)].map(quote).join(' ')} || return`,
    ...all.flatMap(adopt),
    ...guards,
    ...ifAny(setUnits(having('check')), 'step refusals read_refusals "$@"'),
    ...having('check').map((each) => provenStep(each, 'check', `check ${each.unit}`)),
    ...having('remove').map((each) => stepCommand(each, 'remove', `opens ${each.unit}`)),
    ...(having('record').length + having('remove').length >= MANY ? ['gather'] : []),
    ...draftRecords(all),
    ...putFiles(all),
    ...all.flatMap(arm),
    ...stopUnits(all, guards, waits),
    ...eraseFiles(having('remove')),
    ...installUnits(all),
    ...having('forbid').map((each) => provenStep(each, 'forbid', `forbid ${each.unit} ${each.change.token}`)),
    '[ -z "$changed" ] || step reload reload || return',
    ...forgetRemoved(having('remove')),
    ...all.flatMap(checkLease),
    ...startUnits(all),
    ...all.flatMap(checkTemplate),
    'tidy',
    'leave',
    ...watchStarts(all, waits),
  ]);
  return functions + script;
}

/** Shell variables that are empty when the script begins. */
const VARIABLES =
  'changed deadline wait ran again armed gathered lacking can_boot retired is_whole refusals present staying'.split(
    ' ',
  );

/** The files of so many units are moved together. */
const MANY = 3;

/** All waits of a change end at the same time, and the wait for the lock is not longer. */
function deadline(ms: number | undefined): readonly string[] {
  if (ms === undefined) return [];
  const lockSeconds = Math.min(LOCK_WAIT_SECONDS, Math.ceil(ms / 1000));
  return [`clock && deadline=$((now + ${Math.ceil(ms / 10)})) wait=${lockSeconds}`];
}

/** Whether nothing beside its record can be in the way of the change: a fenced unit gets its drop-in again. */
function needsNoPlace(change: UnitChange): boolean {
  return isStopOnly(change) && (recordOf(change)?.fence ?? '') === '';
}

function adopt(each: Numbered): readonly string[] {
  const step = each.change.steps.find(({ kind }) => kind === 'adopt');
  if (step?.kind !== 'adopt') return [];
  const template = templateOf(parseUnitName(each.change.unit))?.text ?? '';
  const words = [step.record.digest, template].map(quote);
  const record = encodeForPrintf(writeRecord(step.record));
  return [stepCommand(each, 'adopt', `adopt ${each.unit} ${each.change.token} ${words.join(' ')} ${record}`)];
}

function guard(each: Numbered): string {
  const { change, unit } = each;
  if (hasStep(change, 'forbid')) return stepCommand(each, 'guard', `seen ${unit} ${change.token}`);
  const template = templateOf(parseUnitName(change.unit))?.text ?? '';
  const words = [`${change.over ?? ''}`, template, ...(recordOf(change)?.links ?? [])].map(quote);
  return stepCommand(each, 'guard', `guard ${unit} ${change.token} ${words.join(' ')}`);
}

/** A unit whose lease has ended is neither installed nor started. */
function checkLease(each: Numbered): readonly string[] {
  const lease = each.change.steps.flatMap((step) => ('under' in step ? (step.under ?? []) : []))[0];
  return lease === undefined ? [] : [stepCommand(each, 'lease', `check_lease ${leaseWords(lease)}`)];
}

/** Records wait beside their places, so that they are on the disk together with the new files. */
function draftRecords(all: readonly Numbered[]): readonly string[] {
  return all.flatMap(({ change, index, unit }) => {
    const step = recordOf(change);
    if (step === undefined) return [];
    return [
      `record${index}=${encodeForPrintf(writeRecord(step.record))}`,
      `[ "$skip${index}" ] || draft ${index} ${unit} "$record${index}" 2>/dev/null`,
    ];
  });
}

function putFiles(all: readonly Numbered[]): readonly string[] {
  const files = all.flatMap((each) => {
    const write = each.change.steps.find((step) => step.kind === 'write');
    const digest = recordOf(each.change)?.record.digest ?? '';
    return write === undefined ? [] : [{ each, text: write.text, digest }];
  });
  const flush = 'step flush flush || return';
  if (files.length === 0) return all.some(({ change }) => hasStep(change, 'record')) ? [flush] : [];
  return [
    ...files.map(({ each, text }) => {
      const words = `put ${each.index} ${each.unit} ${encodeForPrintf(text)}`;
      return stepCommand(
        each,
        'put',
        words,
        isLowered(each.change) ? `stay ${each.index} ${each.unit}` : undefined,
      );
    }),
    'read_sums',
    ...files.map(({ each, digest }) =>
      stepCommand(each, 'verify', `verify ${each.index} ${each.unit} ${digest}`),
    ),
    flush,
  ];
}

/** Nothing has been changed before that, and the change is skipped if its revert cannot be armed. */
function arm(each: Numbered): readonly string[] {
  const step = each.change.steps.find(({ kind }) => kind === 'arm');
  if (step?.kind !== 'arm') return [];
  const words = [
    each.unit,
    each.change.token,
    quote(step.hash),
    quote(step.digest),
    Math.ceil(step.windowMs),
  ];
  return [stepCommand(each, 'arm', `arm ${words.join(' ')}`)];
}

function eraseFiles(removals: readonly Numbered[]): readonly string[] {
  const units = removals.filter(({ change }) => !isOfTemplate(change));
  return units.length === 0 ? [] : ifAny(setUnits(units), 'touched && erase . "$@"');
}

/** First all links that are not wanted are removed. Files of units with at most a link for the boot are put in place together. */
function installUnits(all: readonly Numbered[]): readonly string[] {
  const plain = all.filter(({ change }) => isPlain(change));
  const launched = plain.filter(({ change }) => recordOf(change)?.links.length === 1);
  const written = plain.filter(({ change }) => hasStep(change, 'write'));
  return [
    ...all.flatMap((each) => {
      const links = recordOf(each.change)?.links;
      if (links === undefined) return [];
      return [stepCommand(each, 'install', `make_way ${[each.unit, ...links.map(quote)].join(' ')}`)];
    }),
    "kept=' '",
    ...(plain.length >= MANY
      ? [
          ...ifAny(setUnits(plain), 'keep_all "$@"'),
          ...ifAny(launched.length === 0 ? ['set --'] : setUnits(launched), 'link_all "$@"'),
          ...ifAny(written.length === 0 ? ['set --'] : setUnits(written), 'place_all "$@"'),
        ]
      : []),
    ...all.flatMap(install),
  ];
}

/** Whether the unit has nothing beside its file and its record but a link for the boot. */
function isPlain(change: UnitChange): boolean {
  const step = recordOf(change);
  if (step === undefined || isOfTemplate(change) || hasStep(change, 'remove')) return false;
  return (
    (step.fence ?? '') === '' && step.links.every((link) => link === `fleet.target.wants/${change.unit}`)
  );
}

function install(each: Numbered): readonly string[] {
  const { change, index, unit } = each;
  const step = recordOf(change);
  if (hasStep(change, 'remove')) return [stepCommand(each, 'remove', `remove ${unit}`)];
  if (step === undefined) return [];
  const { fence = '' } = step;
  const words = [index, unit, `"$record${index}"`, ...step.links.map(quote)];
  return [
    fence === '' ? 'fenced=' : `fenced=${encodeForPrintf(fence)}`,
    stepCommand(each, 'install', `install_unit ${words.join(' ')}`),
  ];
}

/**
 * Without `reset-failed` systemd would list a unit that has failed as `not-found failed`, and the machine as degraded. A
 * unit that was started between its stop and the reload keeps its record, because it runs.
 */
function forgetRemoved(removals: readonly Numbered[]): readonly string[] {
  if (removals.length === 0) return [];
  return [
    'step lists read_lists',
    ...removals.map((each) => downCommand(each, 'gone')),
    ...setUnits(removals),
    '[ $# -eq 0 ] || step forget forget "$@"',
    ...(removals.length < MANY ? [] : retireTogether(removals)),
    ...removals.map((each) => provenStep(each, 'retire', `retire ${each.unit} ${each.change.token}`)),
  ];
}

function retireTogether(removals: readonly Numbered[]): readonly string[] {
  const units = removals.filter(({ change }) => !isOfTemplate(change));
  const spare = units.map(
    ({ index, unit, change }) => `[ "$skip${index}" ] || spare ${unit} ${change.token}`,
  );
  return ['if [ "$gathered" ]; then', ...spare, ...setUnits(units), 'retire_all "$@"', 'fi'];
}

/** The file of a template is the only evidence of it. */
function checkTemplate(each: Numbered): readonly string[] {
  const digest = recordOf(each.change)?.record.digest;
  if (digest === undefined || !isOfTemplate(each.change)) return [];
  return [provenStep(each, 'file', `arrived ${each.unit} ${digest}`)];
}
