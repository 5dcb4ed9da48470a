import { FleetError } from '../base/errors.ts';
import { quoted } from '../base/visible.ts';
import { parseAddress } from '../config/address.ts';
import { readWord } from '../machine/limits.ts';
import type { Machine } from '../machine/machine.ts';
import type { Query } from './driver.ts';
import { findSection } from './frame.ts';
import { complete } from './script.ts';

/** A voter of the registry, and where it is. */
export type VoterPlace = Pick<Machine, 'name' | 'address'>;

/** The most voters that are read, because anything can be in the file of a machine. */
const MOST_VOTERS = 9;

/** The words of `/var/lib/fleet/voters`: names and addresses. */
export function voterWords(voters: readonly VoterPlace[]): readonly string[] {
  return voters.flatMap(({ name, address }) => [name, address]);
}

/**
 * Where the voters of its registry are, as the machine knows it: none if no change has told it. It is only a place to ask, because
 * the machine may be wrong or lie.
 */
export function voterPlacesQuery(): Query<readonly VoterPlace[], 'voters', undefined> {
  return {
    kind: 'voters',
    request: undefined,
    script: complete('voters', ['[ ! -f "$L/voters" ] || section voters from head -c 4096 -- "$L/voters"']),
    isPublic: true,
    read: (sections) => readVoterPlaces(findSection(sections, 'voters')?.stdout ?? ''),
  };
}

/** Throws FleetError `bad-answer` for other text than names and addresses. */
export function readVoterPlaces(text: string): readonly VoterPlace[] {
  const words = text.split(/\s+/).filter((word) => word !== '');
  const voters: VoterPlace[] = [];
  for (let i = 0; i < words.length && voters.length < MOST_VOTERS; i += 2) {
    const name = readWord(words[i] ?? '', /^[a-z0-9][a-z0-9._-]{0,252}$/i, 'the name of a machine');
    const address = words[i + 1] ?? '';
    if (parseAddress(address) === undefined)
      throw new FleetError('bad-answer', `it sent ${quoted(address, 60)}, which is not an address`);
    voters.push({ name, address });
  }
  return voters;
}
