import type { MachineBackup, Token } from '../cluster/snapshot.ts';
import { TARGET_STATES, type UnitRecord } from '../cluster/unit-state.ts';
import { keepTo, LIMITS, readNumber, readWord } from '../machine/limits.ts';
import { UNIT_TYPES } from '../unit/unit-name.ts';

/** The text of `/var/lib/fleet/units/<unit>`. It starts with the name of the unit, so that records can be concatenated. */
export function writeRecord(record: UnitRecord): string {
  const { unit, token, hash, digest, target } = record;
  return `unit=${unit}\ntoken=${token}\nhash=${hash}\ndigest=${digest}\ntarget=${target}\n`;
}

/** Reads concatenated records. Throws FleetError `bad-answer` for a value that fleet did not write. */
export function readRecords(text: string): readonly UnitRecord[] {
  return readBlocks(text, readRecord);
}

/**
 * Reads concatenated blocks of lines `key=value`, which begin with `unit=`. A block that is incomplete to `read` is left out; the
 * next one may follow on the same line, because no value can contain `unit=`.
 */
export function readBlocks<T>(
  text: string,
  read: (values: ReadonlyMap<string, string>) => T | undefined,
): readonly T[] {
  const blocks = text.split(/(?=unit=)/, LIMITS.units.most + 1);
  keepTo('units', blocks.length);
  return blocks.flatMap((block) => {
    const values = new Map<string, string>();
    for (const line of block.split('\n')) {
      const equals = line.indexOf('=');
      if (equals > 0) values.set(line.slice(0, equals), line.slice(equals + 1));
    }
    return read(values) ?? [];
  });
}

function readRecord(values: ReadonlyMap<string, string>): UnitRecord | undefined {
  const unit = values.get('unit');
  const target = TARGET_STATES.find((state) => state === values.get('target'));
  if (unit === undefined || target === undefined) return undefined;
  return {
    unit: readOwnUnitName(unit),
    token: readNumber(values.get('token') || '0', 'token'),
    hash: readWord(values.get('hash') ?? '', /^\w{0,64}$/, 'a hash'),
    digest: readWord(values.get('digest') ?? '', /^\w{0,64}$/, 'a digest'),
    target,
  };
}

/** Lines of `sha256sum FILE…` → file → digest. A line with an escaped name starts with a backslash. */
export function readDigests(text: string): ReadonlyMap<string, string> {
  const digests = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^(\\?)([0-9a-f]{64}) [ *](.+)$/.exec(line);
    if (match?.[2] === undefined || match[3] === undefined) continue;
    digests.set(match[1] === '' ? match[3] : match[3].replaceAll('\\\\', '\\'), match[2]);
  }
  return digests;
}

/** Reads the data of the registry on a machine: `texts` are lines `unit base64`, `tokens` all records with tokens. */
export function readBackup(texts: string, tokens: string): MachineBackup {
  const lines = texts.split('\n').filter((line) => line !== '');
  keepTo('units', lines.length);
  return {
    texts: new Map(
      lines.map((line) => {
        const [unit = '', encoded = ''] = line.split(' ');
        return [readOwnUnitName(unit), Buffer.from(encoded, 'base64').toString('utf8')];
      }),
    ),
    token: readHighestToken(tokens),
  };
}

/** The highest token in records. Throws FleetError `bad-answer` for an invalid one. */
export function readHighestToken(tokens: string): Token {
  let highest = 0;
  for (const [, token = ''] of tokens.matchAll(/token=(.+)/g))
    highest = Math.max(highest, readNumber(token, 'token'));
  return highest;
}

/** Names of units of the types that fleet runs; no file of fleet starts with a dot or an @. */
const OWN_NAME = new RegExp(
  `^(?=.{1,255}$)[A-Za-z0-9:_\\\\-][A-Za-z0-9:_.\\\\@-]*\\.(?:${UNIT_TYPES.join('|')})$`,
);

/** The name of a unit of fleet. Throws FleetError `bad-answer` for an invalid one. */
export function readOwnUnitName(text: string): string {
  return readWord(text, OWN_NAME, 'the name of a unit');
}
