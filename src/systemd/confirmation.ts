import { FleetError } from '../base/errors.ts';
import { quoted } from '../base/visible.ts';
import { type Confirmation, REVERT_CAUSES, type RevertCause } from '../cluster/confirmation.ts';
import { hasStarted, isFinished, type SystemdState } from '../cluster/unit-state.ts';
import { readNumber, readWord } from '../machine/limits.ts';
import { quote } from '../ssh/shell.ts';
import confirmShell from './confirm.sh';
import type { Query } from './driver.ts';
import { findSection, type Section } from './frame.ts';
import { readStates } from './read-evidence.ts';
import { readBlocks, readOwnUnitName } from './record.ts';
import { complete, withoutComments } from './script.ts';

/** A change to confirm: its unit, its decision, the digest of its text, and the id of the script that made it. */
export type Unconfirmed = {
  readonly unit: string;
  readonly token: number;
  readonly digest: string;
  readonly by: string;
};

/** The state of the change on the machine. */
export type RevertState =
  | 'confirmed'
  /** The text before is back, for the reason that the machine reports. */
  | { readonly reverted: RevertCause }
  /** The revert has begun. */
  | 'reverting'
  /** The unit is not up, or in another run. */
  | 'not-up'
  /** No revert of this change is armed there. */
  | 'not-armed';

/** The exit statuses of `confirm` and `revert_now` in confirm.sh. */
const STATES: ReadonlyMap<number, RevertState> = new Map([
  [20, 'not-armed'],
  [22, 'reverting'],
  [23, 'not-up'],
]);

/** Undefined for a failure. */
function stateOf(section: Section | undefined): RevertState | undefined {
  if (section?.status !== 21) return STATES.get(section?.status ?? 0);
  const [report] = readConfirmations(section.stderr);
  return { reverted: report?.state === 'reverted' ? report.why : 'timeout' };
}

/** The limit of a revert on request, in ms: the stop of the new text, and two reloads. */
const REVERT_DEADLINE_MS = 200_000;

/** The functions for changes with `arm`, and for the queries below. */
export const CONFIRM_FUNCTIONS: string = withoutComments(confirmShell);

/** Disarms the revert if the unit is still in the run of `state`, in which it was found to be up. */
export function confirmQuery(change: Unconfirmed, state: SystemdState): Query<RevertState> {
  const { unit, token, digest } = change;
  const words = [
    quote(unit),
    token,
    quote(digest),
    isFinished(state) ? 'finished' : 'up',
    quote(state.invocation),
  ];
  return {
    kind: 'confirmation',
    request: change,
    script:
      CONFIRM_FUNCTIONS +
      complete('confirmation', [
        'changed= armed=',
        'step prepare prepare || return',
        'step lock lock || return',
        `step confirm confirm ${words.join(' ')}`,
        '[ -z "$changed" ] || step reload reload',
      ]),
    read: (sections, { name }) => {
      const section = findSection(sections, 'confirm');
      if (section?.status === 0) return 'confirmed';
      const known = stateOf(section);
      if (known !== undefined) return known;
      const said = (section ?? sections.find(({ status }) => status !== 0))?.stderr ?? '';
      throw new FleetError('remote-script', `Cannot confirm "${unit}" on machine "${name}": ${quoted(said)}`);
    },
  };
}

/** The state of a unit, and whether it was up all the time that it was watched; undefined if the state is not known. */
export type Settled = { readonly state: SystemdState; readonly isUp: boolean } | undefined;

/** Watches the unit for `settleMs`. */
export function settledQuery(unit: string, settleMs: number): Query<Settled> {
  const word = quote(unit);
  return {
    kind: 'settled',
    request: unit,
    script: complete('settled', [
      `section before show ${word}`,
      `sleep ${settleMs / 1000} || sleep 1`,
      `section after show ${word}`,
    ]),
    isPublic: true,
    read: (sections) => {
      const [before, after] = ['before', 'after'].map((name) => readStates([], sections, name).get(unit));
      if (before === undefined || after === undefined) return undefined;
      return { state: after, isUp: hasStarted(before, after) };
    },
  };
}

/** Reverts the change at once, and waits for it. */
export function revertQuery(change: Unconfirmed): Query<RevertState> {
  return {
    kind: 'revert',
    request: change,
    script:
      CONFIRM_FUNCTIONS +
      complete('reversion', [
        `step revert revert_now ${quote(change.unit)} ${change.token} ${quote(change.by)}`,
      ]),
    deadlineMs: REVERT_DEADLINE_MS,
    read: (sections) => stateOf(findSection(sections, 'revert')) ?? 'reverting',
  };
}

/** Reads concatenated files `armed` and `reverted` of confirm.sh; an incomplete one is left out. */
export function readConfirmations(text: string): readonly Confirmation[] {
  return readBlocks(text, readConfirmation);
}

function readConfirmation(values: ReadonlyMap<string, string>): Confirmation | undefined {
  const value = (key: string): string => values.get(key) ?? '';
  const why = REVERT_CAUSES.find((cause) => cause === value('why'));
  const isReverted = value('state') === 'reverted' && values.has('at');
  const isArmed = value('state') === 'armed' && values.has('deadline');
  if (!values.has('unit') || !(isArmed || isReverted)) return undefined;
  const common = {
    unit: readOwnUnitName(value('unit')),
    token: readNumber(value('token'), 'token'),
    hash: readWord(value('hash'), /^[0-9a-f]{40}$/, 'a hash'),
    digest: readWord(value('digest'), /^[0-9a-f]{64}$/, 'a digest'),
    windowMs: readNumber(value('window'), 'lease'),
  };
  if (isArmed) return { ...common, state: 'armed', deadline: readNumber(value('deadline'), 'lease') / 100 };
  const at = readNumber(value('at'), 'clock') * 1000;
  return { ...common, state: 'reverted', why: why ?? 'timeout', at };
}
