import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** A pattern of a Host line. */
export type HostPattern = { readonly negated: boolean; readonly text: string; readonly isName: boolean };

/** Splits the `!` from a pattern. `isName` makes the comparison with every machine fast, because most patterns are names. */
export function hostPattern(text: string): HostPattern {
  const negated = text.startsWith('!');
  const pattern = negated ? text.slice(1) : text;
  return { negated, text: pattern, isName: !/[*?]/.test(pattern) };
}

/** The paths that match a pattern with `*`, `?` and `[…]`, sorted as by glob(3) without flags. */
export function globPaths(pattern: string): readonly string[] {
  let found = ['/'];
  for (const part of pattern.split('/').filter((each) => each !== '')) {
    found = found.flatMap((folder) => entries(folder, part));
  }
  return found;
}

function entries(folder: string, part: string): string[] {
  if (!/[*?[\\]/.test(part)) return existsSync(join(folder, part)) ? [join(folder, part)] : [];
  const matcher = toRegExp(part);
  return namesIn(folder)
    .filter((name) => matcher.test(name) && (!name.startsWith('.') || part.startsWith('.')))
    .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    .map((name) => join(folder, name));
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    // An unreadable folder has no matches, as in glob(3).
    return [];
  }
}

/** A part of a pattern between two slashes; a `[` without `]` is literal. */
function toRegExp(part: string): RegExp {
  const source = part.replace(
    /\\(.)|\[([!^]?)(\]?[^\]]*)\]|[*?]|[\\^$.|+(){}[\]]/gs,
    (found, escaped, not, set) => {
      if (escaped !== undefined) return literal(escaped);
      if (set !== undefined) return `[${not === '' ? '' : '^'}${set.replace(/[\\\]^]/g, String.raw`\$&`)}]`;
      if (found === '*') return '.*';
      return found === '?' ? '.' : literal(found);
    },
  );
  return new RegExp(`^${source}$`, 's');
}

function literal(char: string): string {
  return char.replace(/[\\^$.*+?()[\]{}|/]/, String.raw`\$&`);
}
