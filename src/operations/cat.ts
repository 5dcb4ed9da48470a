import type { DesiredUnit } from '../cluster/snapshot.ts';
import type { Registry } from '../registry/registry.ts';
import { selectUnits } from './select-units.ts';

/** The units a name or a glob stands for, with their texts as they were submitted. Throws FleetError `unit-not-found`. */
export async function cat(registry: Registry, argument: string): Promise<readonly DesiredUnit[]> {
  const { units, problems } = selectUnits([argument], await registry.load());
  for (const { error } of problems) throw error;
  return units;
}

/** The text of one unit to the byte; of several below the name of each. */
export function textOf(units: readonly DesiredUnit[]): string {
  const [only] = units;
  if (only !== undefined && units.length === 1) return only.text;
  return units.map(({ name, text }) => `# ${name}\n${text}`).join('\n');
}
