import { FleetError, isFleetError } from '../base/errors.ts';
import { forbid, loginOf } from '../install/authorize.ts';
import { lookAtHost } from '../install/facts.ts';
import { runWell } from '../install/host.ts';
import { LAYOUT } from '../install/layout.ts';
import { isByHand } from '../install/plan.ts';
import { removeScript, stopScript } from '../install/scripts.ts';
import type { Site } from './install-controller.ts';

/** What became of a controller that was to go. */
export type RemovedController = {
  /** Whether there was one. */
  readonly wasThere: boolean;
  readonly hasRegistry: boolean;
  /** Whether the program stays, because a fleet.conf reaches the registry through it. */
  readonly keepsProgram: boolean;
  /** Machines that still let its key in, and why. */
  readonly left: readonly { readonly machine: string; readonly why: string }[];
};

/**
 * Ends the controller of a host, takes its key from the machines, and removes everything of it but the registry. Units
 * run on. `keepsProgram` leaves the program there, too. A key that some machine may still let in is kept in mind, so that the
 * command can be given again. Throws FleetError `install` when the host does not do it, or the controller is none of ours.
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
      { hint: `Remove it by hand, or put ${LAYOUT.config} back if that was lost` },
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
