import { FleetError } from '../base/errors.ts';
import { findLostMajority, rebuildWithout } from '../operations/recover-voters.ts';
import { jsonText } from '../output/json.ts';
import { lostMajorityJson, lostMajorityLines } from '../output/recover-voters.ts';
import { type Call, printInfo } from './command.ts';
import { withPorts } from './context.ts';
import { EXIT, type ExitStatus } from './exit-status.ts';
import { leaderTtlOf } from './fleetd/options.ts';
import { ownConfig } from './own-config.ts';
import { rebuildLeaderLock } from './registry.ts';
import { writeLines } from './streams.ts';

/**
 * Rebuilds a registry on the machines from the rest of its voters, after a confirmation; undefined if a majority answers or nothing
 * is left. Throws FleetError `usage` without a confirmation.
 */
export async function recoverVoters(call: Call): Promise<ExitStatus | undefined> {
  const { flags, streams, options } = call;
  const config = await ownConfig(flags, streams);
  if (config.registry.kind !== 'machines') return undefined;
  return withPorts(
    call,
    async (ports) => {
      const lost = await findLostMajority(ports);
      if (lost === undefined) return undefined;
      writeLines(streams.err, lostMajorityLines(lost));
      const isDryRun = options.dryRun === true;
      if (!isDryRun) {
        await confirm(call);
        await rebuildWithout(lost);
        await rebuildLeaderLock(config, streams, leaderTtlOf(config));
        printInfo(streams, [`Rebuilt the registry without ${lost.missing.join(', ')}`]);
      }
      if (options.output === 'json') streams.out(jsonText(lostMajorityJson(lost, !isDryRun)));
      writeLines(streams.err, isDryRun ? [] : ['hint: To see differences: fleetctl reconcile --dry-run']);
      return EXIT.done;
    },
    { guard: false },
  );
}

async function confirm({ options, streams: { ask } }: Call): Promise<void> {
  if (options.yes === true) return;
  if (ask === undefined)
    throw new FleetError('usage', 'Cannot rebuild the registry without a confirmation', {
      hint: 'If the missing voters are lost permanently: fleetctl recover --yes. If they can return, start them instead',
    });
  const answer = await ask(
    'Are the missing voters lost permanently, and shall the registry continue without them? [y/N] ',
  );
  if (!/^y(es)?$/i.test(answer.trim())) throw new FleetError('interrupted', 'The registry was not rebuilt');
}
