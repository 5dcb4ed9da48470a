import { FleetError } from '../../base/errors.ts';
import { type Metadata, parseMetadata } from '../../machine/machine.ts';
import type { MetadataChange } from '../../operations/machine-changes.ts';

/** The words of `machines set`: settings of the section (undefined removes one), and changes of the metadata. */
export type SetWords = {
  readonly settings: ReadonlyMap<string, string | undefined>;
  readonly metadata: readonly MetadataChange[];
};

/**
 * Reads `key=value`, `key=`, `metadata+=key=value,…` and `metadata-=key,…`. Paths are relative to `cwd`. Throws FleetError
 * `usage`.
 */
export function readWords(words: readonly string[], cwd: string): SetWords {
  const settings = new Map<string, string | undefined>();
  const metadata: MetadataChange[] = [];
  for (const word of words) {
    const [, key = '', sign = '', text = ''] = /^\s*([^=+-]+?)\s*([+-]?)=(.*)$/s.exec(word) ?? [];
    const value = text.trim();
    if (key === '' || (sign !== '' && key !== 'metadata')) throw unreadable(word);
    if (key === 'metadata') metadata.push(metadataChange(sign, value, word));
    else settings.set(key, value === '' ? undefined : absolutePath(key, value, cwd));
  }
  return { settings, metadata };
}

function metadataChange(sign: string, value: string, word: string): MetadataChange {
  if (sign !== '-') return { kind: sign === '+' ? 'add' : 'replace', metadata: readMetadata(value, word) };
  const keys = value.split(',').map((key) => key.trim());
  if (keys.every((key) => /^[^=\s]+$/.test(key))) return { kind: 'remove', keys };
  throw unreadable(word);
}

/** Throws FleetError `usage`; `where` is the word or the option. */
function readMetadata(text: string, where: string): Metadata {
  const result = parseMetadata(text);
  if (result.kind === 'metadata') return result.metadata;
  throw new FleetError('usage', `Cannot read "${where}": "${result.pair}" must be ${result.expected}`, {
    hint: 'Write metadata=region=eu,disk=ssd',
  });
}

function unreadable(word: string): FleetError {
  return new FleetError('usage', `Cannot read "${word}"`, {
    hint: 'Write key=value, or key= to remove a key; metadata+=key=value adds to the metadata, metadata-=key removes from it',
  });
}

/** Paths of a command line are relative to the working folder, those of the file to its folder. */
export function absolutePath(key: string, value: string, cwd: string): string {
  return key === 'identity_file' && !/^[/~]/.test(value) ? `${cwd}/${value}` : value;
}
