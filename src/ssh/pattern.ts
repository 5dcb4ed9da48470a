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
