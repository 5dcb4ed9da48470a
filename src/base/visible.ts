/**
 * The characters that a terminal interprets or does not show: controls except tab and newline, format characters (bidi
 * and zero-width marks included), line and paragraph separators, lone surrogates, and other characters without a glyph.
 */
const CLASS = String.raw`[[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]--[\t\n]]`;
/** Emoji stay whole, because joiners and selectors are parts of their sequences. */
const EMOJI_OR_HIDDEN = String.raw`\p{RGI_Emoji}|(${CLASS})`;
const PLAIN = /^[\t\n -~]*$/;

// Made when first used: V8 looks up every class of characters, and needs 10 ms for the emoji, a third of the start of Node.
let hidden: RegExp | undefined;
let emojiOrHidden: RegExp | undefined;

/**
 * `text` with every character of {@link CLASS} written as an escape, such as `\u001b`. The escapes are those of JSON, so
 * a JSON text stays valid and keeps its value. Tabs and newlines stay.
 */
export function visible(text: string): string {
  if (PLAIN.test(text)) return text;
  hidden ??= new RegExp(CLASS, 'v');
  if (!hidden.test(text)) return text;
  emojiOrHidden ??= new RegExp(EMOJI_OR_HIDDEN, 'gv');
  return text.replace(emojiOrHidden, (found: string, unseen?: string) =>
    unseen === undefined ? found : escapeUnits(found),
  );
}

/** The same on one line: a newline becomes `\n`. */
export function oneLine(text: string): string {
  return visible(text).replaceAll('\n', '\\n');
}

/**
 * Text of another party, such as a machine, for a message: in double quotes, on one line, cut after `most` characters.
 * Quotes and tabs become `\"` and `\t`, so that the text cannot imitate a message of fleet.
 */
export function quoted(text: string, most = 200): string {
  const short = text.length > most ? `${text.slice(0, most - 1).replace(/[\ud800-\udbff]$/, '')}…` : text;
  return `"${oneLine(short).replaceAll('\t', '\\t').replaceAll('"', '\\"')}"`;
}

function escapeUnits(text: string): string {
  return text
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}
