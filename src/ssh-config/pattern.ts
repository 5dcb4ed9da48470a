import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** A pattern of a Host line. */
export type HostPattern = { readonly negated: boolean; readonly text: string; readonly isName: boolean };

/** Takes a `!` off a pattern. Most patterns are names, and all are compared for every machine. */
export function hostPattern(text: string): HostPattern {
  const negated = text.startsWith('!');
  const pattern = negated ? text.slice(1) : text;
  return { negated, text: pattern, isName: !/[*?]/.test(pattern) };
}

/** The paths that a pattern with `*`, `?` and `[…]` leads to, sorted, as glob(3) without flags has them. */
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
    // What cannot be looked into holds no match, as in glob(3).
    return [];
  }
}

/** A part of a pattern between two slashes; a `[` without its end stands for itself. */
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
