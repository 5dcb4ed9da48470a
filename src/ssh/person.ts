import type { Limit } from './limit.ts';

/** A question to the user during a login. The answer to a secret is not shown while it is typed. */
export type Question = { readonly text: string; readonly isSecret: boolean };

/** Asks the person at the terminal; undefined is no answer. */
export type Ask = (question: Question) => Promise<string | undefined>;

/** The same, one question at a time. */
export function oneAtATime(ask: Ask, limit: Limit): Ask {
  return (question) => limit(() => ask(question));
}
