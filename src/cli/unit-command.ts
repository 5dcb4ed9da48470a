import type { RequestResult } from '../operations/unit-result.ts';
import type { UnitVerb } from '../output/report.ts';
import type { Edges } from '../reconcile/reconcile.ts';
import { type Call, writeLines } from './command.ts';
import type { ExitStatus } from './exit-status.ts';

/** What every verb over several units does around its operation: open, run, report, exit status. */
export async function runUnitVerb(
  verb: UnitVerb,
  call: Call,
  operation: (edges: Edges) => Promise<RequestResult>,
): Promise<ExitStatus> {
  const [{ withEdges }, { requestReport }, { requestStatus }] = await Promise.all([
    import('./context.ts'),
    import('../output/report.ts'),
    import('./exit-status.ts'),
  ]);
  const request = await withEdges(call.flags, call.streams, operation);
  const { out, err } = requestReport(verb, request);
  writeLines(call.streams.out, out);
  writeLines(call.streams.err, err);
  return requestStatus(request);
}
