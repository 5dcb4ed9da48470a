import { FleetError } from '../base/errors.ts';
import { findLostMajority, type LostMajority, rebuildWithout } from '../operations/recover-voters.ts';
import { lostMajorityJson, lostMajorityLines, rebuiltReport } from '../output/registry.ts';
import { type Call, printAnswer } from './command.ts';
import { withConfig } from './context.ts';
import { EXIT, type ExitStatus } from './exit-status.ts';
import { rebuildLeaderLock } from './leader-lock.ts';
import { ownConfig } from './own-config.ts';
import { confirms, writeLines } from './streams.ts';

/**
 * Rebuilds a registry on the machines from the rest of its voters, after a confirmation; undefined if a majority answers or nothing
 * is left. Throws FleetError `usage` without a confirmation.
 */
export async function recoverVoters(call: Call): Promise<ExitStatus | undefined> {
  const { flags, streams, options } = call;
  const config = await ownConfig(flags, streams);
  if (config.registry.kind !== 'machines') return undefined;
  return withConfig(
    config,
    streams,
    async (ports) => {
      const lost = await findLostMajority(ports);
      if (lost === undefined) return undefined;
      writeLines(streams.err, lostMajorityLines(lost));
      const isDryRun = options.dryRun === true;
      if (!isDryRun) await confirm(call, lost);
      const rebuilt = isDryRun ? undefined : await rebuildWithout(ports, lost);
      if (rebuilt !== undefined) await rebuildLeaderLock(config, streams, ports.registry);
      const report = rebuilt === undefined ? { out: [], err: [] } : rebuiltReport(lost, rebuilt);
      await printAnswer(call, report, () => lostMajorityJson(lost, rebuilt), true);
      return EXIT.done;
    },
    { guard: false },
  );
}

async function confirm({ options, streams }: Call, { missing }: LostMajority): Promise<void> {
  if (options.yes === true) return;
  const [hint, question] =
    missing.length > 0
      ? [
          'If the missing voters are lost permanently: fleetctl recover --yes. If they can return, start them instead',
          'Are the missing voters lost permanently, and shall the registry continue without them? [y/N] ',
        ]
      : [
          'To continue with this state: fleetctl recover --yes. If there is a newer backup, restore that instead',
          'Shall the registry continue with this state? [y/N] ',
        ];
  if (streams.ask === undefined)
    throw new FleetError('usage', 'Cannot rebuild the registry without a confirmation', { hint });
  if (!(await confirms(streams, question)))
    throw new FleetError('interrupted', 'The registry was not rebuilt');
}
