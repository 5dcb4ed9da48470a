import type { MachineSession, Query } from '../../src/systemd/driver.ts';

type MakeQuery = (...args: never[]) => Query<unknown>;

/** The answers to the queries of these functions, by kind. */
export type Answers<Make extends MakeQuery> = {
  readonly [Q in ReturnType<Make> as Q['kind']]?: (request: Q['request']) => ReturnType<Q['read']>;
};

/** Answers the queries that the functions `Make` make; other queries go to `otherwise`, or are an Error. */
export function answering<Make extends MakeQuery>(
  answers: Answers<Make>,
  otherwise: MachineSession['ask'] = ({ kind }) => {
    throw new Error(`no answer to a query of the kind ${kind}`);
  },
): MachineSession['ask'] {
  return async (query) => {
    const answer = answers[query.kind as keyof typeof answers] as ((request: unknown) => never) | undefined;
    return answer === undefined ? otherwise(query) : answer(query.request);
  };
}
