import { FleetError, isFleetError } from '../base/errors.ts';
import { forbid, loginOf } from '../install/authorize.ts';
import { lookAtHost } from '../install/facts.ts';
import { runWell } from '../install/host.ts';
import { LAYOUT } from '../install/layout.ts';
import { isByHand } from '../install/plan.ts';
import { removeScript, stopScript } from '../install/scripts.ts';
import type { Site } from './install-controller.ts';

/** The result of a removal. */
export type RemovedController = {
  /** Whether there was a controller. */
  readonly wasThere: boolean;
  readonly hasRegistry: boolean;
  /** Whether the program stays, because a fleet.conf reaches the registry through it. */
  readonly keepsProgram: boolean;
  /** Machines that may still accept its key, and the errors. */
  readonly left: readonly { readonly machine: string; readonly why: string }[];
};

/**
 * Stops the controller of a host, removes its key from the machines, and removes its files except the registry. The units
 * keep running. `keepsProgram` also keeps the program. If a machine may still accept the key, the public key stays on the
 * host, so that the command can be repeated. Throws FleetError `install` if a script fails, or if the controller was set up
 * by hand.
 */
export async function removeController(
  site: Pick<Site, 'host' | 'transport' | 'access'>,
  keepsProgram: boolean,
): Promise<RemovedController> {
  const { host, transport, access } = site;
  const facts = await lookAtHost(host, []);
  const { publicKey, hasRegistry, fragments } = facts;
  if (isByHand(facts))
    throw new FleetError(
      'install',
      `Cannot remove the controller from "${host.name}": it was set up by hand: ${[...fragments.values()].join(' ')}`,
      { hint: `Remove it by hand, or restore ${LAYOUT.config} if it was lost` },
    );
  const wasThere = publicKey !== undefined || fragments.size > 0;
  await runWell(host, stopScript(), 'stop the controller');
  const failures = await Promise.all(
    [...access].map(async ([machine, each]) => {
      if (publicKey === undefined) return [];
      try {
        await forbid(loginOf(transport, each), publicKey);
        return [];
      } catch (error) {
        if (!isFleetError(error)) throw error;
        return [{ machine, why: error.message }];
      }
    }),
  );
  const left = failures.flat();
  await runWell(
    host,
    removeScript({ program: keepsProgram && hasRegistry, key: left.length > 0 }),
    'remove the controller',
  );
  return { wasThere, hasRegistry, keepsProgram, left };
}
