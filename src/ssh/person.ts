import type { Limit } from './limit.ts';

/** What a person is asked while somebody logs in. The answer to a secret is not shown while it is typed. */
export type Question = { readonly text: string; readonly isSecret: boolean };

/** Asks the person at the terminal; undefined is no answer. */
export type Ask = (question: Question) => Promise<string | undefined>;

/** The same, but nobody is asked two things at a time. */
export function oneAtATime(ask: Ask, limit: Limit): Ask {
  return (question) => limit(() => ask(question));
}

/** Text from a machine for a terminal: without anything that a terminal would take for a command. */
export function harmless(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this is about
  return text.replaceAll('\r\n', '\n').replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '?');
}
