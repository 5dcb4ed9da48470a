/**
 * Globs with the rules of Go's path.Match, which fleet uses for `Conflicts=`: `*` (any run without `/`), `?` (one
 * character, not `/`), `[a-z]`, `[^a-z]`, and `\` before a character that is literal.
 *
 * One rule differs from Go. A backslash before a letter or a digit is literal, and Go drops it: systemd-escape writes
 * unit names such as `foo\x2dbar.service`, and such a name has to match itself.
 */

/** A `*`, or the test for one character. */
type Piece = 'run' | ((char: string) => boolean);

/** True when `pattern` matches the whole of `text`. A malformed pattern matches nothing. */
export function matchesGlob(pattern: string, text: string): boolean {
  return globMatcher(pattern)(text);
}

/** {@link matchesGlob} for one pattern and many texts. */
export function globMatcher(pattern: string): (text: string) => boolean {
  if (!/[*?[\\]/.test(pattern)) return (text) => pattern === text;
  const pieces = parseGlob(pattern);
  if (typeof pieces === 'string') return () => false;
  return (text) => pattern === text || matchPieces(pieces, [...text]);
}

/** True when `text` has a `*`, `?` or `[` that no backslash escapes. */
export function isGlob(text: string): boolean {
  return /[*?[]/.test(text.replace(/\\./gsu, ''));
}

/** The literal characters at the start of a pattern: every text that the pattern matches begins with them. */
export function literalPrefix(pattern: string): string {
  return /^[^*?[\\]*/.exec(pattern)?.[0] ?? '';
}

/** The problem of a malformed pattern, as the end of a sentence; undefined for a well-formed one. */
export function globProblem(pattern: string): string | undefined {
  const pieces = parseGlob(pattern);
  return typeof pieces === 'string' ? pieces : undefined;
}

// In a class, `-`, `]` and `\` are literal only after a backslash, and a class is never empty.
const CLASS_CHAR = String.raw`(?:[^\\\]-]|\\.)`;
const CLASS_RANGE = `(${CLASS_CHAR})(?:-(${CLASS_CHAR}))?`;
const CLASS = String.raw`\[(?:\^|(?!\^))(?:${CLASS_RANGE})+\]`;
const TOKEN = String.raw`\*|\?|${CLASS}|\\[^\p{L}\p{N}]|\\(?=.)|[^\\[]`;

/** In code units: longer than any glob over unit names, and short enough for the regular expressions. */
const MAX_LENGTH = 4096;

/** The pieces of a pattern, or its problem. */
function parseGlob(pattern: string): readonly Piece[] | string {
  if (pattern.length > MAX_LENGTH) return `it has more than ${MAX_LENGTH} characters`;
  const pieces: Piece[] = [];
  const token = new RegExp(TOKEN, 'suy');
  while (token.lastIndex < pattern.length) {
    const start = token.lastIndex;
    const match = token.exec(pattern);
    if (match === null)
      return pattern[start] === '[' ? 'a "[" is not closed correctly' : 'it ends in a backslash';
    pieces.push(toPiece(match[0]));
  }
  return pieces;
}

function toPiece(token: string): Piece {
  if (token === '*') return 'run';
  if (token === '?') return (char) => char !== '/';
  if (token.length > 1 && token.startsWith('[')) return toClass(token.slice(1, -1));
  const literal = lastChar(token);
  return (char) => char === literal;
}

/** `a-z_` or `^a-z_` as the test for one character. A reversed range is empty, as in Go. */
function toClass(body: string): Piece {
  const negated = body.startsWith('^');
  const ranges = [...body.slice(negated ? 1 : 0).matchAll(new RegExp(CLASS_RANGE, 'gsu'))].map(
    ([, low = '', high = low]) => ({ low: codePoint(lastChar(low)), high: codePoint(lastChar(high)) }),
  );
  return (char) =>
    ranges.some(({ low, high }) => low <= codePoint(char) && codePoint(char) <= high) !== negated;
}

/** Every `*` matches as little as possible, and one character more when the pieces after it do not match: no recursion. */
function matchPieces(pieces: readonly Piece[], chars: readonly string[]): boolean {
  let piece = 0;
  let run: { readonly next: number; taken: number } | undefined;
  for (let at = 0; at < chars.length; ) {
    const char = chars[at] ?? '';
    const wanted = pieces[piece];
    if (wanted === 'run') {
      piece++;
      run = { next: piece, taken: at };
    } else if (wanted?.(char)) {
      piece++;
      at++;
    } else if (run !== undefined && chars[run.taken] !== '/') {
      run.taken++;
      at = run.taken;
      piece = run.next;
    } else {
      return false;
    }
  }
  return pieces.slice(piece).every((left) => left === 'run');
}

/** The character itself, or the one after its backslash. */
function lastChar(token: string): string {
  return [...token].at(-1) ?? '';
}

function codePoint(char: string): number {
  return char.codePointAt(0) ?? 0;
}
