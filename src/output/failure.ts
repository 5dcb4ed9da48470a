import { lowerFirst } from '../base/text.ts';
import { formatDuration } from '../base/time.ts';
import { quoted } from '../base/visible.ts';
import type { CauseRelation, Failure, MachineStep } from '../cluster/failure.ts';
import { tieText } from '../cluster/reason.ts';
import { isMasked, isStarting } from '../cluster/unit-state.ts';
import type { UnitFailure } from '../operations/unit-result.ts';
import { quote } from '../ssh/shell.ts';
import { formatDate, formatRemaining, packagesOf } from './format.ts';
import { foreignUnit, heldText, reasonText, revertCause, unhealthy, whyNotUp } from './reason.ts';

/** The text of a failure: a sentence, lines to print below it, and a hint. */
export type FailureText = {
  readonly summary: string;
  readonly lines: readonly string[];
  readonly hint: string | undefined;
};

/** The unit of a failure, or several, and the arguments of the `apply` that reports it; undefined for other commands. */
export type About = { readonly unit: string; readonly folder?: string | undefined };

type FailureOf<C extends Failure['code']> = Extract<Failure, { code: C }>;

/** The text of a failure; its hint names the command that continues. A failure of a newer program is its code. */
export function failureText(failure: Failure, about: About = { unit: 'UNIT' }): FailureText {
  const text: ((failure: never, about: About) => FailureText) | undefined = FAILURES[failure.code];
  return text?.(failure as never, about) ?? plain(failure.code);
}

type Texts = { readonly [C in Failure['code']]: (failure: FailureOf<C>, about: About) => FailureText };

const FAILURES: Texts = {
  foreign: ({ path }) => plain(foreignUnit(path), 'Rename your unit, or remove that one from the machine'),
  unrecorded: ({ path }) => unrecorded(path),
  'alias-taken': ({ alias, path }) =>
    plain(
      `its Alias=${alias} is taken there: ${path}`,
      'Remove that Alias= from [Install], or that unit from the machine',
    ),
  stale: ({ seen, token }) =>
    plain(
      `a newer decision about it was made meanwhile (revision ${seen}, this one is ${token})`,
      'To see its present state: fleetctl list-unit-files',
    ),
  overtaken: ({ seen, token }) =>
    plain(
      `it was changed there meanwhile, by revision ${seen}; this is revision ${token}`,
      'Nothing was changed there. Run the command again',
    ),
  unknown: ({ detail }) =>
    plain(
      `the machine cannot report whether it runs${detail === '' ? '' : `: ${quoted(detail)}`}`,
      'It is left unchanged; "fleetctl stop", "start --replace" and "destroy" do not need its state',
    ),
  excluded: ({ tie }) =>
    plain(
      `"${tie.unit}" runs there, and systemd never runs both: ${tieText(tie)}`,
      `To start it, stop the other one: fleetctl stop ${tie.unit}; or place them on different machines`,
    ),
  waits: ({ unit }) =>
    plain(`"${unit}" has to leave the machine first, but it is still there`, 'Run the command again'),
  // The text has failed earlier, perhaps long ago.
  held: (failure, about) =>
    plain(
      `held: ${heldText(failure)} (${formatDate(failure.held.at)})`,
      holdHint(failure.isFirst === true, about),
    ),
  gated,
  'other-cluster': ({ cluster }) =>
    plain(
      `the machine belongs to another cluster: ${quoted(cluster)}`,
      'If that cluster is yours and its registry was lost: fleetctl help recover; if it is gone, run "rm /var/lib/fleet/cluster" on the machine; else remove the machine: fleetctl machines remove',
    ),
  fenced: ({ reason }) =>
    plain(
      `it is not started, because ${reasonText(reason)}`,
      'Check that a controller runs: systemctl status fleetd',
    ),
  locked,
  tools: ({ tools }) =>
    plain(`the machine lacks ${tools.join(' and ')}`, `Install ${packagesOf(tools)} there`),
  unreachable: ({ message, hint }) => ({ summary: lowerFirst(message), lines: [], hint }),
  'awaits-confirmation': ({ leftMs }) =>
    plain(
      `its last change there is not confirmed yet (Confirm=); the machine reverts it ${formatRemaining(leftMs)}`,
      'Nothing was changed there. Run the command again after that',
    ),
  unconfirmed,
  step: stepText,
  'not-down': notDown,
  queued: ({ waitsFor }) =>
    plain(
      waitsFor.length === 0
        ? 'its start job is queued in systemd'
        : `its start job waits in systemd for ${waitsFor.join(' and ')}`,
      CONTINUES,
    ),
  unverified: () => plain('the machine did not report the result', 'To see its state: fleetctl list-units'),
  unhealthy: (failure) => ({ summary: unhealthy(failure), lines: failure.lines, hint: undefined }),
  'not-up': notUpText,
};

/** `path` is empty if the file is missing, too. */
function unrecorded(path: string): FailureText {
  const file = path === '' ? 'so is its file' : `${path} differs from the registry`;
  return plain(
    `its record in /var/lib/fleet/units is missing there, and ${file}`,
    'Nothing was changed there. Replace the file with the text of the registry ("fleetctl cat"), and run the command again; or stop the unit and remove the file there',
  );
}

/** The text of an entry of a result: after a failure for which the text is held, the hint says so. */
export function entryText(
  { failure, newHold }: Pick<UnitFailure, 'failure' | 'newHold'>,
  about: About,
): FailureText {
  const text = failureText(failure, about);
  if (newHold === undefined) return text;
  const hold = `This text is held now, so no pass starts it again. ${holdHint(newHold.isFirst, about)}`;
  return { ...text, hint: text.hint ?? hold };
}

/** What ends the hold of a text; one that is the first of its unit has no older one. */
export function holdHint(isFirst: boolean, { unit, folder }: About): string {
  const back = isFirst ? '' : `, or fleetctl rollback ${unit}`;
  const another = `Give it another text: fleetctl start --replace ${unit}${back}`;
  return `${folder === undefined ? another : 'Correct its file'}; or try this one again: fleetctl start --retry ${unit}`;
}

/** The reason why a copy does not get its text yet: machines that do not answer, or else copies that are not up. */
function gated({ limit, down, ended }: FailureOf<'gated'>, { unit, folder }: About): FailureText {
  if (ended !== undefined) return afterEnd(ended, unit);
  const most = `--max-parallel ${Math.max(limit, down.length) + 1}`;
  const next = folder === undefined ? `start ${most} ${unit}` : `apply ${most} ${folder}`;
  const machines = [
    ...new Set(down.flatMap(({ machine, isUnreachable }) => (isUnreachable ? [machine] : []))),
  ];
  const others = down.filter(({ isUnreachable }) => !isUnreachable);
  const namesOf = (copies: typeof down): readonly string[] =>
    copies.map(({ unit, machine }) => (machine === '' ? unit : `${unit} on ${machine}`));
  const names = namesOf(others.filter(({ isUnknown }) => !isUnknown));
  const unknown = namesOf(others.filter(({ isUnknown }) => isUnknown));
  const verb = (list: readonly string[], one: string, more: string): string =>
    `${list.join(', ')} ${list.length === 1 ? one : more}`;
  const causes = [
    ...(machines.length === 0 ? [] : [`${verb(machines, 'does', 'do')} not answer`]),
    ...(names.length === 0 ? [] : [`${verb(names, 'is', 'are')} not up`]),
    ...(unknown.length === 0 ? [] : [`${verb(unknown, 'is', 'are')} in an unknown state`]),
  ];
  return plain(
    `it waits for its text, because ${causes.join(', ')}, and at most ${limit} of its copies may be down (MaxParallel=${limit})`,
    `fleetd or "fleetctl reconcile" continues when that has changed; to continue now: fleetctl ${next}`,
  );
}

/** The text about a copy that a rollout did not reach. More copies at once do not help: the same one would fail again. */
function afterEnd(
  { unit: first, machine, failure }: NonNullable<FailureOf<'gated'>['ended']>,
  unit: string,
): FailureText {
  if (failure === undefined)
    return plain(
      `it waits for its text, because the start of ${first} on ${machine} was not waited for`,
      `To continue: fleetctl start ${unit}`,
    );
  const alone = first === unit ? '' : `; to continue without ${first}: fleetctl start ${unit}`;
  return plain(
    `it waits for its text, because the rollout ended at ${first} on ${machine}: ${failureText(failure).summary}`,
    `fleetd or "fleetctl reconcile" continues when that has changed${alone}`,
  );
}

function unconfirmed({ windowMs, reverted, cause }: FailureOf<'unconfirmed'>, about: About): FailureText {
  const window = formatDuration(windowMs);
  if (reverted === 'reboot') return plain(`${revertCause('reboot', windowMs)}, and has reverted the change`);
  const end =
    reverted === undefined
      ? `the machine reverts the change by itself, ${window} after its begin`
      : 'the machine has reverted the change';
  if (cause === undefined) return plain(`not confirmed within ${window}, ${end}`);
  const { summary, lines, hint } = failureText(cause, about);
  return { summary: `not confirmed, ${end}: ${summary}`, lines, hint };
}

function locked({ holder }: FailureOf<'locked'>): FailureText {
  if (holder === undefined || holder.user === 'root')
    return plain(
      `another fleetctl is busy on the machine${holder === undefined ? '' : `: process ${holder.pid} (${holder.command})`}`,
      'Try again when it has finished',
    );
  return plain(
    `process ${holder.pid} (${holder.command}) of user "${holder.user}" holds the lock of the machine`,
    `Terminate it there: kill ${holder.pid}`,
  );
}

const STEPS: Readonly<Record<MachineStep, string>> = {
  prepare: 'could not prepare the folders of fleet',
  lock: 'could not take the lock of the machine',
  cluster: 'could not record the cluster of the machine',
  write: 'could not write the unit file',
  rewrite: 'it is stopped, but its new unit file could not be written',
  flush: 'could not write the new files to disk',
  arm: 'could not arm the revert that Confirm= asks for, so nothing was changed',
  stop: 'could not stop it',
  install: 'could not put the unit file in place',
  remove: 'could not remove the unit file',
  forbid: 'it may be running there, so it is not started elsewhere',
  reload: 'systemd could not reload its unit files',
};

function notUpText({ state, detail, journal, required }: FailureOf<'not-up'>): FailureText {
  if (required !== undefined) return untried(required, journal);
  const continues = state.load === 'loaded' && isStarting(state) ? CONTINUES : undefined;
  return {
    summary: whyNotUp(state),
    lines: [...linesOf(detail), ...journal],
    hint: isMasked(state) ? MASKED : continues,
  };
}

function untried(required: readonly string[], journal: readonly string[]): FailureText {
  const units = required.join(' and ');
  return {
    summary: `it was not started, because ${units} ${required.length === 1 ? 'has' : 'have'} failed, which it requires`,
    lines: journal,
    hint: `Its text was not run, so it is not held: when ${units} can start, fleetd or "fleetctl reconcile" starts it`,
  };
}

function stepText({ step, detail }: FailureOf<'step'>): FailureText {
  const away = moveAway(detail);
  if (away === undefined) return said(STEPS[step], detail, stepHint(step, detail));
  const what = step === 'rewrite' ? STEPS.rewrite : 'something is in the way';
  return said(what, detail, `Move it away there: ${away}; and run the command again`);
}

/** The command that moves away what a machine found in the place of a file of fleet; undefined for other messages. */
export function moveAway(said: string): string | undefined {
  const path =
    /^(\/\S+) is (?:a directory|no directory|no file|no link|not a file of root)$/.exec(said)?.[1] ??
    /^(\/\S+): Is a directory$/.exec(said)?.[1];
  return path === undefined ? undefined : `mv ${quote(path)} /var/tmp/`;
}

function stepHint(step: MachineStep, detail: string): string | undefined {
  if (detail.includes('No space left on device')) return NO_SPACE;
  if (detail.includes('Operation not permitted')) {
    const path = quote(/(?:^|\s)(\/[^\s']+): Operation not permitted$/m.exec(detail)?.[1] ?? 'PATH');
    return `If "lsattr -d ${path}" there shows the attribute i, it is immutable, and "chattr -i ${path}" ends that`;
  }
  return step === 'prepare' || step === 'lock' ? NEEDS_ROOT : undefined;
}

const NO_SPACE = 'Make room there: df -h; if that shows free space, check the inodes: df -i';

const NEEDS_ROOT = 'The user needs root rights there, and /etc, /var/lib and /run must be writable';

const MASKED = 'Run "systemctl unmask" for it there, and run the command again';
const CONTINUES = 'It continues there; to see the result: fleetctl list-units';

function plain(summary: string, hint?: string): FailureText {
  return { summary, lines: [], hint };
}

/** A summary with the output of a command: after a colon if it is one line, otherwise below. */
function said(what: string, detail: string, hint: string | undefined): FailureText {
  const [first, ...more] = linesOf(detail);
  if (first === undefined || more.length > 0) return { summary: what, lines: linesOf(detail), hint };
  return plain(`${what}: ${quoted(first)}`, hint);
}

const RELATIONS: Readonly<Record<CauseRelation, string>> = {
  UpheldBy: 'upholds it (Upholds=)',
  TriggeredBy: 'triggers it',
  BoundBy: 'is bound to it (BindsTo=)',
  RequiredBy: 'requires it (Requires=)',
};

function notDown({ state, again, causes, detail, journal }: FailureOf<'not-down'>): FailureText {
  const [active = '', sub = ''] = state.split(' ');
  const now = active === 'job' ? `it has a ${sub} job` : `it is${again ? '' : ' still'} ${active} (${sub})`;
  if (!again) {
    const summary = `${STEPS.stop}: ${now}`;
    const hint = /requested by dependency only/.test(detail) ? REFUSES_STOP : undefined;
    return { summary, lines: [...linesOf(detail), ...journal], hint };
  }
  const whose = causes.map(({ unit, relation }) => `${unit} ${RELATIONS[relation]}`).join(', ');
  const others = [...new Set(causes.map(({ unit }) => unit))].join(' and ');
  return {
    summary: `it was stopped and started again${whose === '' ? `: ${now}` : `: ${whose}`}`,
    lines: linesOf(detail),
    hint: others === '' ? undefined : `Stop ${others} first`,
  };
}

const REFUSES_STOP =
  'It has RefuseManualStop=yes: stop what requires it, or set that to no on the machine ("systemctl edit --runtime UNIT"), and try again';

function linesOf(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '');
}
