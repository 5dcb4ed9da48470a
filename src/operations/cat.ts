import { FleetError } from '../base/errors.ts';
import type { Registry } from '../registry/registry.ts';
import { unitNameOf } from './local-file.ts';

/** The text of a unit as it was submitted. Throws FleetError `unit-not-found`. */
export async function cat(registry: Registry, argument: string): Promise<string> {
  const name = unitNameOf(argument).text;
  const unit = (await registry.load()).units.get(name);
  if (unit !== undefined) return unit.text;
  throw new FleetError('unit-not-found', `No such unit: "${name}"`, {
    hint: 'Units in the registry: fleetctl list-unit-files',
  });
}
