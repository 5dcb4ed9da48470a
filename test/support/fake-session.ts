import type { MachineSession } from '../../src/systemd/driver.ts';
import type { examineQuery } from '../../src/systemd/examination.ts';
import type { extendQuery } from '../../src/systemd/lease.ts';
import type { observeQuery } from '../../src/systemd/observation.ts';
import type { statusQuery } from '../../src/systemd/status.ts';
import type { verifyQuery } from '../../src/systemd/verification.ts';

type AnyQuery = ReturnType<
  typeof observeQuery | typeof extendQuery | typeof statusQuery | typeof verifyQuery | typeof examineQuery
>;

/** The answers to queries of each kind, made from what was asked. */
type Answers = {
  readonly [Q in AnyQuery as Q['kind']]?: (request: Q['request']) => ReturnType<Q['read']>;
};

/** Answers queries by their kinds; those of other kinds go to `session`, or are an Error. */
export function answering(answers: Answers, session?: MachineSession): MachineSession['ask'] {
  return async (query) => {
    const answer = answers[query.kind as keyof Answers] as ((request: unknown) => never) | undefined;
    if (answer !== undefined) return answer(query.request);
    if (session !== undefined) return session.ask(query);
    throw new Error(`no answer to a query of the kind ${query.kind}`);
  };
}
