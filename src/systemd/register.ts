import { FleetError } from '../base/errors.ts';
import { type Ballot, isRound } from '../quorum/ballot.ts';
import { type VoterAnswer, type VoterRequest, WAIT_SECONDS } from '../quorum/voters.ts';
import { encodeForPrintf, quote } from '../ssh/shell.ts';
import type { Query } from './driver.ts';
import { findSection, type Section } from './frame.ts';
import { invalidAnswer } from './observation-sections.ts';
import registerShell from './register.sh';
import { complete, withoutComments } from './script.ts';

/** The exit statuses of read_register: nothing is stored, or it is damaged, or a copy. */
const NOTHING_STORED = 4;
const DAMAGED = 5;
const COPY = 6;

/** The limit of an answer without contents, in ms; the lock is waited for up to 5 s. */
const DEADLINE_MS = 10_000;

/** Reads or changes a register on a machine, in one exec. What the answer says is durable there. */
export function registerQuery(request: VoterRequest): Query<VoterAnswer, 'register', VoterRequest> {
  const { register, action, unlessKnown } = request;
  return {
    kind: 'register',
    request,
    most: 'text',
    deadlineMs: deadlineOf(request),
    isPublic: action.kind === 'read' || action.kind === 'reserve',
    script:
      withoutComments(registerShell) +
      complete('register', [
        ...waitLines(request),
        `step lock lock_register ${quote(register)} || return`,
        ...actionLines(action),
        'section registered from registered',
        ...(unlessKnown === undefined ? [] : [`texts ${unlessKnown.map(quote).join(' ')}`]),
      ]),
    read: (sections, { name }) => readAnswer(sections, name),
  };
}

/** The limit of the answer, in ms. Contents may be large. */
function deadlineOf({ action, unlessKnown }: VoterRequest): number {
  if (action.kind === 'wait') return WAIT_SECONDS * 1000 + DEADLINE_MS;
  const isLarge =
    unlessKnown !== undefined || ('contents' in action && action.contents.some(({ text }) => text));
  return isLarge ? 3 * DEADLINE_MS : DEADLINE_MS;
}

function waitLines({ register, action }: VoterRequest): readonly string[] {
  if (action.kind !== 'wait') return [];
  const { round, proposer } = action.accepted;
  return [
    `name_register ${quote(register)}`,
    `step wait wait_register '${round} ${proposer}' ${WAIT_SECONDS}`,
  ];
}

function actionLines(action: VoterRequest['action']): readonly string[] {
  if (action.kind === 'read' || action.kind === 'wait') return [];
  // A register that cannot be written can still be read.
  if (action.kind === 'reserve') return [`step change reserve ${action.proposer}`];
  if (action.kind === 'create')
    return [`step change create_register ${quote(action.unless ?? '')} || return`];
  const words = `${quote(action.state)} '${action.ballot.round} ${action.ballot.proposer}'`;
  if (action.kind === 'prepare') return [`step change prepare ${words} || return`];
  const stored = action.contents.flatMap(({ hash, text }) =>
    text === undefined ? [] : [`step store store ${quote(hash)} ${encodeForPrintf(text)} || return`],
  );
  const hashes = action.contents.map(({ hash }) => quote(hash)).join(' ');
  if (action.kind === 'found') {
    const { state, accepted } = action.replaced;
    const replaced = `${quote(state)} '${accepted.round} ${accepted.proposer}'`;
    return [...stored, `step change found ${replaced} ${words} ${quote(action.value)} ${hashes} || return`];
  }
  return [...stored, `step change accept ${words} ${quote(action.value)} ${hashes} || return`];
}

function readAnswer(sections: readonly Section[], machine: string): VoterAnswer {
  const section = findSection(sections, 'registered');
  if (section === undefined) {
    const failed = sections.find(({ status }) => status !== 0);
    if (failed?.stderr.includes('No space left on device') !== true)
      throw invalidAnswer(machine, 'it cannot store the registry', failed);
    throw new FleetError('remote-script', `Cannot use machine "${machine}": its disk is full`, {
      hint: 'Make room there: df -h /var/lib/fleet; if that shows free space, check the inodes: df -i /var/lib/fleet',
    });
  }
  const [state = '', promised = '', accepted = '', value = '', owner = '', contents = ''] =
    section.stdout.split('\n');
  // Every text ends with a newline, which command substitution removes.
  const texts = sections.filter(({ name }) => name === 'text').map(({ stdout }) => `${stdout}\n`);
  const common = {
    contents: contents.split(' ').filter((hash) => hash !== ''),
    texts,
    ...(owner !== '' && { owner }),
  };
  if (section.status === NOTHING_STORED || section.status === DAMAGED)
    return {
      ...common,
      state: undefined,
      stored: { promised: { round: 0, proposer: 0 } },
      invalid: section.status === DAMAGED,
    };
  const ballots = [readBallot(promised), readBallot(accepted)];
  const [promise, proposal] = ballots;
  if (
    (section.status !== 0 && section.status !== COPY) ||
    !/^[0-9a-f]{32}$/.test(state) ||
    promise === undefined ||
    proposal === undefined
  )
    throw invalidAnswer(machine, 'its register cannot be read', section);
  const isEmpty = proposal.round === 0;
  return {
    ...common,
    state,
    stored: { promised: promise, ...(!isEmpty && { accepted: { ballot: proposal, value } }) },
    ...(section.status === COPY && { invalid: true }),
  };
}

function readBallot(text: string): Ballot | undefined {
  const [round, proposer] = text.split(' ').map(Number);
  return isRound(round) && isRound(proposer) ? { round, proposer } : undefined;
}
