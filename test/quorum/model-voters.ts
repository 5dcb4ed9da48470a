import { setTimeout as sleep } from 'node:timers/promises';
import { type ErrorCode, FleetError } from '../../src/base/errors.ts';
import { sha256 } from '../../src/base/hash.ts';
import { afterBallot, type Ballot, compareBallots, NO_BALLOT } from '../../src/quorum/ballot.ts';
import type { Stored } from '../../src/quorum/register.ts';
import type { AskVoter, TextCache, VoterAnswer, VoterRequest } from '../../src/quorum/voters.ts';

type Disk = { state: string | undefined; stored: Stored<string>; texts: Map<string, string> };

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
    const answer = { ...this.#answer(this.#disk(machine), request), ...(owner !== undefined && { owner }) };
    return this.copied.has(machine) ? { ...answer, state: undefined, invalid: true } : answer;
  };

  async #change(machine: string, accepted: Ballot): Promise<void> {
    const isSame = (): boolean =>
      compareBallots(this.#disk(machine).stored.accepted?.ballot ?? NO_BALLOT, accepted) === 0;
    for (let waited = 0; waited < 1000 && isSame(); waited += 10) await sleep(10);
  }

  #disk(machine: string): Disk {
    const disk = this.disks.get(machine) ?? {
      state: undefined,
      stored: { promised: NO_BALLOT },
      texts: new Map(),
    };
    this.disks.set(machine, disk);
    return disk;
  }

  #answer(disk: Disk, { action, unlessKnown }: VoterRequest): VoterAnswer {
    if (action.kind === 'create') {
      if (disk.state !== undefined && disk.state === action.unless) {
        disk.state = undefined;
        disk.stored = { promised: NO_BALLOT };
      }
      disk.state ??= `${++this.#states}`.padStart(32, '0');
    }
    if (action.kind === 'reserve' && disk.state !== undefined) {
      const { round } = disk.stored.promised;
      disk.stored = { ...disk.stored, promised: { round: round + 1, proposer: action.proposer } };
    }
    if (
      action.kind === 'prepare' &&
      action.state === disk.state &&
      compareBallots(action.ballot, disk.stored.promised) > 0
    )
      disk.stored = { ...disk.stored, promised: action.ballot };
    if (action.kind === 'accept') this.#accept(disk, action);
    if (action.kind === 'found' && (disk.state ?? '') === action.unless) {
      disk.state = action.state;
      disk.stored = { promised: NO_BALLOT };
      this.#accept(disk, { ...action, kind: 'accept' });
    }
    const known = new Set(unlessKnown);
    const texts = [...disk.texts].flatMap(([hash, text]) =>
      unlessKnown === undefined || known.has(hash) ? [] : [text],
    );
    for (const text of texts) this.received += text.length;
    return { state: disk.state, stored: disk.stored, contents: [...disk.texts.keys()].sort(), texts };
  }

  #accept(
    disk: Disk,
    { state, ballot, value, contents }: Extract<VoterRequest['action'], { kind: 'accept' }>,
  ): void {
    for (const { hash, text } of contents) {
      if (text === undefined) continue;
      this.sent += text.length;
      if (sha256(text) !== hash) throw new Error('a text is damaged');
      disk.texts.set(hash, text);
    }
    if (state !== disk.state || compareBallots(disk.stored.promised, ballot) > 0) return;
    const hashes = new Set(contents.map(({ hash }) => hash));
    for (const hash of hashes) if (!disk.texts.has(hash)) return;
    for (const hash of disk.texts.keys()) if (!hashes.has(hash)) disk.texts.delete(hash);
    disk.stored = { promised: afterBallot(ballot), accepted: { ballot, value } };
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
