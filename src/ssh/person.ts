import type { Limit } from './limit.ts';

/** What a person is asked while somebody logs in. The answer to a secret is not shown while it is typed. */
export type Question = { readonly text: string; readonly isSecret: boolean };

/** Asks the person at the terminal; undefined is no answer. */
export type Ask = (question: Question) => Promise<string | undefined>;

/** The same, but nobody is asked two things at a time. */
export function oneAtATime(ask: Ask, limit: Limit): Ask {
  return (question) => limit(() => ask(question));
}
