import type { DesiredUnit } from '../cluster/snapshot.ts';
import type { Registry } from '../registry/registry.ts';
import { globOf, unitNameOf } from './local-file.ts';
import { selectUnits } from './select-units.ts';

/** A unit of the registry and its text; it may wait to be accepted. */
export type NamedText = Pick<DesiredUnit, 'name' | 'text' | 'hash' | 'digest'>;

/** The units a name or a glob stands for, with their texts as they were submitted. Throws FleetError `unit-not-found`. */
export async function cat(registry: Registry, argument: string): Promise<readonly NamedText[]> {
  const view = await registry.load();
  const unconfirmed =
    globOf(argument) === undefined ? view.unconfirmed.get(unitNameOf(argument).text) : undefined;
  if (unconfirmed !== undefined) return [unconfirmed];
  const { units, problems } = selectUnits([argument], view);
  for (const { error } of problems) throw error;
  return units;
}

/** The text of one unit to the byte; of several below the name of each. */
export function textOf(units: readonly NamedText[]): string {
  const [only] = units;
  if (only !== undefined && units.length === 1) return only.text;
  return units.map(({ name, text }) => `# ${name}\n${text}`).join('\n');
}
