import { setTimeout as sleep } from 'node:timers/promises';
import { type ErrorCode, FleetError } from '../../src/base/errors.ts';
import { sha256 } from '../../src/base/hash.ts';
import { afterBallot, type Ballot, compareBallots, NO_BALLOT } from '../../src/quorum/ballot.ts';
import type { QuorumOptions } from '../../src/quorum/options.ts';
import type { Stored } from '../../src/quorum/register.ts';
import { openQuorumStore, type QuorumStore } from '../../src/quorum/store.ts';
import type { AskVoter, TextCache, VoterAnswer, VoterRequest } from '../../src/quorum/voters.ts';

type Action = VoterRequest['action'];

/** What a machine has stored: its register, and texts by hash. */
export type Disk = {
  state: string | undefined;
  stored: Stored<string>;
  texts: ReadonlyMap<string, string>;
  /** As a restored backup is: it can be read, and be replaced, and does not count. */
  isCopy?: true;
};

export const EMPTY_DISK: Disk = { state: undefined, stored: { promised: NO_BALLOT }, texts: new Map() };

/** The disk after each write that `register.sh` makes for an action; none if nothing changes. */
export function writesOf(disk: Disk, action: Action, newState: () => string): readonly Disk[] {
  const stocked = withTexts(disk, action);
  const written = withRegister(stocked, action, newState);
  const last = written === stocked ? written : withoutOthers(written, action);
  return [stocked, written, last].filter((each, index, all) => each !== (all[index - 1] ?? disk));
}

function withTexts(disk: Disk, action: Action): Disk {
  if (!('contents' in action)) return disk;
  const fresh = action.contents.flatMap(({ hash, text }) =>
    text === undefined ? [] : [[hash, text] as const],
  );
  for (const [hash, text] of fresh) if (sha256(text) !== hash) throw new Error('a text is damaged');
  return fresh.every(([hash]) => disk.texts.has(hash))
    ? disk
    : { ...disk, texts: new Map([...disk.texts, ...fresh]) };
}

function withRegister(disk: Disk, action: Action, newState: () => string): Disk {
  const { state, stored, isCopy, ...rest } = disk;
  if (action.kind === 'create')
    return state === undefined || isCopy || state === action.unless
      ? { ...EMPTY_DISK, texts: disk.texts, state: newState() }
      : disk;
  if (isCopy && action.kind !== 'found') return disk;
  if (action.kind === 'prepare') {
    const isHigher = state === action.state && compareBallots(action.ballot, stored.promised) > 0;
    return isHigher ? { ...disk, stored: { ...stored, promised: action.ballot } } : disk;
  }
  if (action.kind === 'reserve' && state !== undefined) {
    const promised = { round: stored.promised.round + 1, proposer: action.proposer };
    return { ...disk, stored: { ...stored, promised } };
  }
  if (!('contents' in action) || !action.contents.every(({ hash }) => disk.texts.has(hash))) return disk;
  const { ballot, value } = action;
  const isTaken =
    action.kind === 'found'
      ? state === action.replaced.state &&
        compareBallots(stored.accepted?.ballot ?? NO_BALLOT, action.replaced.accepted) === 0
      : state === action.state && compareBallots(stored.promised, ballot) <= 0;
  const accepted = { promised: afterBallot(ballot), accepted: { ballot, value } };
  return isTaken ? { ...rest, state: action.state, stored: accepted } : disk;
}

function withoutOthers(disk: Disk, action: Action): Disk {
  if (!('contents' in action)) return disk;
  const named = action.contents.map(({ hash }) => hash);
  const texts = new Map([...disk.texts].filter(([hash]) => named.includes(hash)));
  return texts.size === disk.texts.size ? disk : { ...disk, texts };
}

export function answerOf({ state, stored, texts, isCopy }: Disk, { unlessKnown }: VoterRequest): VoterAnswer {
  const wanted = [...texts].filter(([hash]) => unlessKnown !== undefined && !unlessKnown.includes(hash));
  return {
    state,
    stored,
    contents: [...texts.keys()].sort(),
    texts: wanted.map(([, text]) => text),
    ...(isCopy && { invalid: isCopy }),
  };
}

/** Machines in memory that do what `register.sh` does. `down` names those that do not answer. */
export class ModelVoters {
  readonly disks = new Map<string, Disk>();
  readonly down = new Set<string>();
  /** These never answer. */
  readonly hung = new Set<string>();
  /** These refuse every request with an error of this code. */
  readonly refusing = new Map<string, ErrorCode>();
  /** What these have stored is a copy. */
  readonly copied = new Set<string>();
  readonly owners = new Map<string, string>();
  /** The texts that were sent to and by machines, in characters. */
  sent = 0;
  received = 0;
  requests = 0;
  #states = 0;

  readonly ask: AskVoter = async (machine, request) => {
    this.requests++;
    if (this.hung.has(machine)) await new Promise(() => undefined);
    if (request.action.kind === 'wait') await this.#change(machine, request.action.accepted);
    if (this.down.has(machine)) throw new FleetError('ssh-refused', `${machine} is down`);
    const code = this.refusing.get(machine);
    if (code !== undefined)
      throw new FleetError(code, `Cannot reach ${machine}: ${code}`, { hint: `Repair ${code}` });
    const owner = this.owners.get(machine);
    return { ...this.#answer(machine, request), ...(owner !== undefined && { owner }) };
  };

  async #change(machine: string, accepted: Ballot): Promise<void> {
    const isSame = (): boolean =>
      compareBallots(this.#disk(machine).stored.accepted?.ballot ?? NO_BALLOT, accepted) === 0;
    for (let waited = 0; waited < 1000 && isSame(); waited += 10) await sleep(10);
  }

  #disk(machine: string): Disk {
    return this.disks.get(machine) ?? { ...EMPTY_DISK };
  }

  #answer(machine: string, request: VoterRequest): VoterAnswer {
    const { action } = request;
    const before: Disk = { ...this.#disk(machine), ...(this.copied.has(machine) && { isCopy: true }) };
    const after = writesOf(before, action, () => `${++this.#states}`.padStart(32, '0')).at(-1) ?? before;
    this.disks.set(machine, after);
    if (!after.isCopy) this.copied.delete(machine);
    if ('contents' in action) for (const { text = '' } of action.contents) this.sent += text.length;
    const answer = answerOf(after, request);
    for (const text of answer.texts) this.received += text.length;
    return answer;
  }
}

/** A cache of one process. */
export function memoryCache(): TextCache {
  const texts = new Map<string, string>();
  return {
    known: () => [...texts.keys()],
    get: (hash) => texts.get(hash),
    put: (hash, text) => void texts.set(hash, text),
    keep: (hashes) => {
      for (const hash of texts.keys()) if (!hashes.includes(hash)) texts.delete(hash);
    },
  };
}

/** A store on machines with these names, as a separate process opens it; `others` replaces options. */
export function openOn(
  { ask }: Pick<QuorumOptions, 'ask'>,
  names: readonly string[],
  others: Partial<QuorumOptions> = {},
): QuorumStore {
  return openQuorumStore({
    register: 'head',
    machines: names.map((machine) => ({ machine, mark: undefined })),
    belongsTo: () => true,
    ask,
    cache: memoryCache(),
    ...others,
  });
}

/** A store on web-1, web-2 and web-3. */
export function openProcess(ask: QuorumOptions['ask']): QuorumStore {
  return openOn({ ask }, ['web-1', 'web-2', 'web-3']);
}
