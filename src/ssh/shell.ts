/** Words of these characters need no quotes in any shell. */
const PLAIN = /^[A-Za-z0-9_@%+=:,./-]+$/;

/**
 * `word` as one word of POSIX sh, in single quotes unless it is plain. Every word of a command line must pass through
 * this function. Throws a RangeError for a NUL character, which no shell word can hold.
 */
export function quote(word: string): string {
  if (word.includes('\0')) throw new RangeError('A shell word cannot hold a NUL character');
  return PLAIN.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/**
 * Any text as a quoted word, quotes included, from which `printf %b WORD` makes exactly the UTF-8 bytes of
 * `text` in every POSIX sh. The word is one line of printable ASCII: everything else, the backslash, the single quote
 * and `!`, which csh takes for its history even in quotes, travel as `\0` and three octal digits (XCU printf, the `%b`
 * conversion). So it means the same to every login shell, fish and csh among them. A NUL is allowed; a lone surrogate
 * becomes U+FFFD. Where printf is not built into the shell (mksh), Linux limits the word to 128 KiB.
 */
export function encodeForPrintf(text: string): string {
  const bytes = Buffer.from(text, 'utf8').toString('latin1');
  return `'${bytes.replace(/[^ -~]|[!'\\]/g, escapeByte)}'`;
}

function escapeByte(byte: string): string {
  return byte === '\n' ? String.raw`\n` : `\\0${byte.charCodeAt(0).toString(8).padStart(3, '0')}`;
}
