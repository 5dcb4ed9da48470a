import { listMachines } from '../../operations/list-machines.ts';
import { MACHINES } from '../../output/listings.ts';
import { unreachableLines } from '../../output/report.ts';
import { renderTable, selectColumns } from '../../output/table.ts';
import { withEdges } from '../context.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { type Streams, writeLines } from '../streams.ts';
import type { Flags } from './flags.ts';

/** Reads everything that fleetd needs and asks every machine once: status 5 when one does not answer. */
export function check(flags: Flags, streams: Streams): Promise<ExitStatus> {
  return withEdges(flags, streams, async (edges) => {
    const { rows, unreachable } = await listMachines(edges);
    const columns = selectColumns(MACHINES.columns, ['name', 'ip', 'state']);
    streams.out(renderTable(columns, rows, { legend: true, full: false }));
    writeLines(streams.err, unreachableLines(unreachable));
    return unreachable.length === 0 ? EXIT.done : EXIT.unreachable;
  });
}
