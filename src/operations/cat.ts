import type { Registry } from '../registry/registry.ts';
import { selectUnits } from './select-units.ts';

/** The text of a unit as it was submitted. Throws FleetError `unit-not-found`. */
export async function cat(registry: Registry, argument: string): Promise<string> {
  const { units, problems } = selectUnits([argument], await registry.load());
  for (const { error } of problems) throw error;
  return units.map(({ text }) => text).join('');
}
