import type { Registry } from '../registry/registry.ts';
import { selectUnits } from './select-units.ts';

/** The text of a unit as it was submitted; of several below the name of each. Throws FleetError `unit-not-found`. */
export async function cat(registry: Registry, argument: string): Promise<string> {
  const { units, problems } = selectUnits([argument], await registry.load());
  for (const { error } of problems) throw error;
  const [only] = units;
  if (only !== undefined && units.length === 1) return only.text;
  return units.map(({ name, text }) => `# ${name}\n${text}`).join('\n');
}
