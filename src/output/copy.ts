import type { CopiedRegistry } from '../operations/copy-registry.ts';
import type { ReportLines } from './report.ts';

/** What was copied, and what is left to do; `place` as it is to be written into fleet.conf. */
export function copyReport({ clusterId, units, records }: CopiedRegistry, place: string): ReportLines {
  return {
    out: [`Copied cluster ${clusterId} to ${place}: units ${units}, records ${records}`],
    err: [
      `hint: Write "registry = ${place}" into every fleet.conf of this cluster, and move the old registry away`,
    ],
  };
}
