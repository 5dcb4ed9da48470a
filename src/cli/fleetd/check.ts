import { loadConfig } from '../../config/load.ts';
import { listMachines } from '../../operations/list-machines.ts';
import { withMachineSnapshots } from '../../operations/observe-cluster.ts';
import { MACHINES } from '../../output/listings.ts';
import { unreachableLines } from '../../output/report.ts';
import { renderTable, selectColumns } from '../../output/table.ts';
import { withConfig } from '../context.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { probeWriting } from '../leader-lock.ts';
import { type Streams, writeLines } from '../streams.ts';
import type { Flags } from './serve.ts';

/**
 * Checks the configuration, write access to the registry and the leader lock, and observes every machine once: status 5
 * if one is unreachable. Changes nothing.
 */
export async function check(flags: Flags, streams: Streams): Promise<ExitStatus> {
  const config = await loadConfig({ flags, ...streams });
  await probeWriting(config, streams);
  return withConfig(
    config,
    streams,
    async (ports) => {
      const { rows, unreachable } = await withMachineSnapshots(ports, listMachines);
      const columns = selectColumns(MACHINES.fields, ['name', 'ip', 'state']);
      streams.out(await renderTable(columns, rows, { legend: true, full: false }));
      writeLines(streams.err, unreachableLines(unreachable));
      return unreachable.length === 0 ? EXIT.done : EXIT.unreachable;
    },
    { dryRun: true },
  );
}
