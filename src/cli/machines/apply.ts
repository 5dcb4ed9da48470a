import { applyMachines } from '../../operations/machine-changes.ts';
import { appliedJson, appliedReport } from '../../output/inventory.ts';
import { type Call, printAnswer } from '../command.ts';
import { withPorts } from '../context.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';

/** Stores the machines as fleet.conf describes them. */
export async function apply(call: Call): Promise<ExitStatus> {
  const dryRun = call.options.dryRun === true;
  const applied = await withPorts(call, (ports) => applyMachines(ports, call.arguments), {
    dryRun,
    onDifference: () => undefined,
  });
  await printAnswer(call, appliedReport(applied, dryRun), () => appliedJson(applied), !dryRun);
  return EXIT.done;
}
