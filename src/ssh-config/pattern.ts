import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** True when a pattern of `*` (any run) and `?` (one character) matches the whole text (ssh_config(5), PATTERNS). */
export function matchesPattern(text: string, pattern: string): boolean {
  let at = 0;
  let wanted = 0;
  let run: { next: number; taken: number } | undefined;
  while (at < text.length) {
    const char = pattern[wanted];
    if (char === '*') {
      wanted++;
      run = { next: wanted, taken: at };
    } else if (char === '?' || char === text[at]) {
      wanted++;
      at++;
    } else if (run === undefined) return false;
    else {
      run.taken++;
      at = run.taken;
      wanted = run.next;
    }
  }
  while (pattern[wanted] === '*') wanted++;
  return wanted === pattern.length;
}

/** A pattern of a Host line. */
export type HostPattern = { readonly negated: boolean; readonly text: string; readonly isName: boolean };

/** Takes a `!` off a pattern. Most patterns are names, and all are compared for every machine. */
export function hostPattern(text: string): HostPattern {
  const negated = text.startsWith('!');
  const pattern = negated ? text.slice(1) : text;
  return { negated, text: pattern, isName: !/[*?]/.test(pattern) };
}

/** True when one pattern of a list with commas matches, and none with a `!` in front does. */
export function matchesList(text: string, list: string): boolean {
  let found = false;
  for (const pattern of list.split(',')) {
    const negated = pattern.startsWith('!');
    if (!matchesPattern(text, negated ? pattern.slice(1) : pattern)) continue;
    if (negated) return false;
    found = true;
  }
  return found;
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
