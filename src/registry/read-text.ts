import { FleetError, isFleetError } from '../base/errors.ts';
import type { DesiredUnit } from '../cluster/snapshot.ts';
import { readDependencies, triggeredUnit } from '../unit/dependencies.ts';
import { parsePlacement } from '../unit/placement.ts';
import type { UnitFile } from '../unit/unit-file.ts';
import type { UnitName } from '../unit/unit-name.ts';
import type { StoredUnit } from './edit.ts';

/** The result of `read`, or the FleetError that it throws. */
export function readable<T>(read: () => T): T | FleetError {
  try {
    return read();
  } catch (error) {
    if (isFleetError(error)) return error;
    throw error;
  }
}

/** The properties in a unit's text, which `parse` returns. Throws `registry-newer`, because the text was valid for the program that stored it. */
export function readText(
  unitName: UnitName,
  parse: () => UnitFile,
  fleet: string | undefined,
): Pick<DesiredUnit, 'placement' | 'triggers' | 'dependencies'> {
  const read = readable(() => {
    const file = parse();
    return {
      placement: parsePlacement(file, unitName),
      triggers: triggeredUnit(file, unitName),
      dependencies: readDependencies(file, unitName),
    };
  });
  if (!isFleetError(read)) return read;
  const writer = fleet === undefined ? 'another version of fleet' : `fleet ${fleet}`;
  throw new FleetError(
    'registry-newer',
    `Cannot use unit "${unitName.text}" of the registry, as ${writer} has stored it: ${read.message}`,
    { hint: 'Update fleet here', cause: read },
  );
}

/** The error for an unconfirmed unit: `registry-corrupt` without its text, so that a submitted one is stored. */
export function notConfirmed({ name, text, unconfirmed }: StoredUnit): FleetError {
  const message = `Unit "${name}" is not confirmed: it was recovered only from machine "${unconfirmed?.machine}"`;
  if (text === undefined) {
    return new FleetError('registry-corrupt', `${message}, without its text, because no machine had it`, {
      hint: `To store its text again, so that a pass restarts it on its machine: fleetctl submit ${name}; to give it up, so that a pass stops and removes it: fleetctl recover --reject ${name}`,
    });
  }
  return new FleetError('not-recoverable', message, {
    hint: `To see it: fleetctl cat ${name}; to accept it: fleetctl recover --accept ${name}; to reject it: fleetctl recover --reject ${name}`,
  });
}
