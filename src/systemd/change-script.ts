import { isAlias } from '../plan/links.ts';
import type { Step, UnitChange } from '../plan/step.ts';
import { encodeForPrintf, quote } from '../ssh/shell.ts';
import { writeRecord } from './record.ts';
import { complete, LOCK_WAIT_SECONDS, leaseWords } from './script.ts';

/** What a change waits for. */
export type Waits = {
  /** Whether stops and starts are waited for at all. */
  readonly blocks: boolean;
  /** How long, in ms; undefined for two minutes each. */
  readonly ms: number | undefined;
  /** How long a started unit is watched after that before it counts as up, in ms. */
  readonly settleMs: number;
};

/**
 * Makes the changes, in this order: lock · cluster · guards · new files and records beside their places, verified ·
 * stop and wait · records, links, renames, removals · one daemon-reload · records of what was removed · start · unlock ·
 * wait · settle · report. A stop comes before the rename, so that ExecStop= of the text that runs is what runs.
 * While a stop is waited for the lock is free, and tokens are checked again after it: a stuck unit never keeps
 * others from the machine. Where nobody waits, a stop is still waited for if a file is replaced or removed after it.
 * Sections carry the index of their change (`guard:0`); a change that fails is skipped from there on.
 */
export function changeScript(changes: readonly UnitChange[], clusterId: string, waits: Waits): string {
  const all = changes.map((change, index) => ({ change, index }));
  return complete('change', [
    `changed= deadline= ${all.map(({ index }) => `skip${index}=`).join(' ')}`,
    ...deadline(waits.ms),
    'step prepare prepare || return',
    'step lock lock || return',
    `step cluster cluster ${quote(clusterId)} || return`,
    ...all.flatMap(guards),
    ...draftRecords(all),
    ...putFiles(all),
    ...stopUnits(all, waits),
    ...all.flatMap(settleFiles),
    ...all.filter(({ change }) => has(change, 'forbid')).map(forbid),
    '[ -z "$changed" ] || step reload reload || return',
    ...forgetRemoved(all.filter(({ change }) => has(change, 'remove'))),
    ...startUnits(all),
    'for file in .fleet-$$-* "$L/tmp/$$-"*; do [ ! -e "$file" ] || rm -f "$file"; done',
    'leave',
    ...watchStarts(all, waits),
  ]);
}

type Indexed = { readonly change: UnitChange; readonly index: number };

function has(change: UnitChange, kind: UnitChange['steps'][number]['kind']): boolean {
  return change.steps.some((step) => step.kind === kind);
}

/** `[ "$skip3" ] || step NAME:3 COMMAND || skip3=1` */
function attempt(index: number, name: string, command: string): string {
  return `[ "$skip${index}" ] || step ${name}:${index} ${command} || skip${index}=1`;
}

function guard({ change, index }: Indexed): string {
  if (has(change, 'forbid')) return attempt(index, 'guard', `seen ${quote(change.unit)} ${change.token}`);
  const words = [templateOf(change.unit), ...(recordOf(change)?.links ?? []).filter(isAlias)];
  return attempt(index, 'guard', `guard ${quote(change.unit)} ${change.token} ${words.map(quote).join(' ')}`);
}

/** `web@.service` for `web@1.service`, empty for a plain unit. */
function templateOf(unit: string): string {
  const match = /^([^@]+@).+(\.[a-z]+)$/.exec(unit);
  return match === null ? '' : `${match[1]}${match[2]}`;
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
  if (files.length === 0) return all.some(({ change }) => has(change, 'record')) ? ['step flush flush'] : [];
  return [
    ...files.map(({ index, text }) => attempt(index, 'put', `put ${index} ${encodeForPrintf(text)}`)),
    'sums="$(sha256sum -- .fleet-$$-* 2>/dev/null </dev/null)\n"',
    ...files.map(({ index, digest }) => attempt(index, 'verify', `verify ${index} ${digest}`)),
    'step flush flush',
  ];
}

/** All waits of a change end at the same time, and the one for the lock does not last longer. */
function deadline(ms: number | undefined): readonly string[] {
  if (ms === undefined) return [];
  const lockSeconds = Math.min(LOCK_WAIT_SECONDS, Math.ceil(ms / 1000));
  return [`clock && deadline=$((now + ${Math.ceil(ms / 10)})) W=${lockSeconds}`];
}

function stopUnits(all: readonly Indexed[], { blocks }: Waits): readonly string[] {
  const stops = all.filter(({ change }) => has(change, 'stop'));
  if (stops.length === 0) return [];
  const awaited = stops.filter(({ change }) => blocks || has(change, 'write') || has(change, 'remove'));
  return [
    ...stops.map(isDone),
    ...stops.map(({ change, index }) =>
      unlessDone(index, attempt(index, 'claim', `claim ${quote(change.unit)} ${change.token}`)),
    ),
    ...arguments_(stops, 'unlessDone'),
    '[ $# -eq 0 ] || step stop systemctl stop --no-block -- "$@"',
    ...(awaited.length < stops.length ? arguments_(awaited, 'unlessDone') : []),
    'if [ $# -gt 0 ]; then',
    'unlock',
    'step await-stop await "$@"',
    'step lock lock || return',
    ...all.flatMap(guards),
    ...awaited.map(({ change, index }) =>
      unlessDone(index, attempt(index, 'stopped', `stopped ${quote(change.unit)}`)),
    ),
    'fi',
  ];
}

/**
 * A unit that gets a new text and has it by now: while this script waited for the lock another one has carried out the
 * same decision. What runs is what is wanted, and is not stopped again.
 */
function isDone({ change, index }: Indexed): string {
  const digest = has(change, 'write') && has(change, 'start') ? recordOf(change)?.record.digest : undefined;
  const lookup = `[ "$skip${index}" ] || ! has ${quote(change.unit)} ${digest} || { done${index}=1; rm -f .fleet-$$-${index}; }`;
  return digest === undefined ? `done${index}=` : `done${index}=; ${lookup}`;
}

function unlessDone(index: number, command: string): string {
  return `[ "$done${index}" ] || ${command}`;
}

function settleFiles({ change, index }: Indexed): readonly string[] {
  const unit = quote(change.unit);
  const step = recordOf(change);
  if (has(change, 'remove')) return [attempt(index, 'remove', `remove ${unit}`)];
  if (step === undefined) return [];
  const links = step.links.map((link) => ` ${quote(link)}`).join('');
  const { fence = '' } = step;
  return [
    fence === '' ? 'fenced=' : `fenced=${encodeForPrintf(fence)}`,
    attempt(index, 'install', `note ${index} ${unit} "$record${index}"${links}`),
  ];
}

/** Else systemd would list a unit that has failed as `not-found failed`, and call the machine degraded. */
function forgetRemoved(removals: readonly Indexed[]): readonly string[] {
  if (removals.length === 0) return [];
  return [
    ...arguments_(removals),
    '[ $# -eq 0 ] || step forget systemctl reset-failed -- "$@"',
    ...removals.map(({ change: { unit, token }, index }) =>
      attempt(index, 'bury', `bury ${quote(unit)} ${token}`),
    ),
  ];
}

function forbid({ change: { unit, token }, index }: Indexed): string {
  return attempt(index, 'forbid', `forbid ${quote(unit)} ${token}`);
}

function guards(indexed: Indexed): readonly string[] {
  return [guard(indexed), ...checkLease(indexed)];
}

/** What is to run under a lease that is over by now is neither brought nor started. */
function checkLease({ change, index }: Indexed): readonly string[] {
  const under = change.steps.flatMap((step) => ('under' in step ? (step.under ?? []) : []))[0];
  return under === undefined ? [] : [attempt(index, 'under', `under ${leaseWords(under)}`)];
}

function startUnits(all: readonly Indexed[]): readonly string[] {
  const starts = all.filter(({ change }) => has(change, 'start'));
  const restarts = all.filter(({ change }) => has(change, 'restart'));
  const resets = all.filter(({ change }) =>
    change.steps.some((step) => (step.kind === 'start' && step.reset) || step.kind === 'restart'),
  );
  return [
    ...all.flatMap(checkLease),
    ...(resets.length === 0
      ? []
      : [...arguments_(resets), '[ $# -eq 0 ] || step reset systemctl reset-failed -- "$@"']),
    ...arguments_(starts),
    // Queued under the lock, waited for without it: a newer decision can stop a unit that hangs in its start.
    '[ $# -eq 0 ] || step start systemctl start --no-block -- "$@"',
    ...(restarts.length === 0
      ? []
      : [
          ...arguments_(restarts),
          '[ $# -eq 0 ] || step restart systemctl restart --no-block -- "$@"',
          ...arguments_([...starts, ...restarts]),
        ]),
  ];
}

function watchStarts(all: readonly Indexed[], { blocks, settleMs }: Waits): readonly string[] {
  const kept = all.filter(({ change }) => !has(change, 'remove') && !has(change, 'forbid'));
  const watch = [
    'if [ $# -gt 0 ]; then',
    'step await-start await "$@"',
    'section started show "$@"',
    // Only a process that runs can still die: nothing is waited for when none does.
    ...(settleMs === 0
      ? []
      : [`case "$out" in *SubState=running*) sleep ${settleMs / 1000} || sleep 1 ;; esac`]),
    'fi',
  ];
  return [...(blocks ? watch : []), ...arguments_(kept), '[ $# -eq 0 ] || section units show "$@"'];
}

/**
 * Sets the positional parameters to the units that have not failed so far. Those that start others come first:
 * a socket must listen before its service runs, and must have been told to stop before its service has stopped.
 */
function arguments_(units: readonly Indexed[], which?: 'unlessDone'): readonly string[] {
  const isTrigger = ({ change }: Indexed) => /\.(socket|timer|path|automount)$/.test(change.unit);
  const ordered = units.toSorted((a, b) => Number(isTrigger(b)) - Number(isTrigger(a)));
  return [
    'set --',
    ...ordered.map(({ change, index }) => {
      const done = which === undefined ? '' : `$done${index}`;
      return `[ "$skip${index}${done}" ] || set -- "$@" ${quote(change.unit)}`;
    }),
  ];
}

function recordOf(change: UnitChange): Extract<Step, { kind: 'record' }> | undefined {
  return change.steps.find((step) => step.kind === 'record');
}
