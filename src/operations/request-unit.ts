import type { TargetState } from '../cluster/unit-state.ts';
import type { Registry } from '../registry/registry.ts';
import type { UnitName } from '../unit/unit-name.ts';
import { type Submission, submitFiles } from './submit.ts';

/** What is wanted of one unit: a text, a target state, or both. */
export type UnitRequest = {
  readonly name: UnitName;
  /** Undefined to leave the text as it is, for a unit that the registry has. */
  readonly text: string | undefined;
  /** Undefined to leave it as it is; a unit that is new is `inactive` then. */
  readonly target: TargetState | undefined;
  /** Who asks, as messages name the source of the text. */
  readonly source: string;
};

/** Stores what is wanted of a unit and waits for no machine: a controller, which watches the registry, does the rest. */
export function requestUnit(
  registry: Registry,
  { name, text, target, source }: UnitRequest,
): Promise<Submission> {
  const own = text === undefined ? undefined : { path: source, content: text };
  const file = { name, own, template: undefined, beside: new Set<string>() };
  return submitFiles(registry, [file], true, (unit) => target ?? unit.target);
}

/**
 * Forgets a unit. Copies of it are stopped and removed by the next pass of a controller, also those on machines
 * that are unreachable now, when they are back. Resolves with false for a unit that the registry does not have.
 */
export async function forgetUnit(registry: Registry, name: string): Promise<boolean> {
  let known = false;
  await registry.update((view) => {
    known = view.units.has(name);
    return known ? [{ kind: 'delete-unit', name }] : [];
  });
  return known;
}
