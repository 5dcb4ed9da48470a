import type { TargetState } from '../cluster/unit-state.ts';
import type { Registry } from '../registry/registry.ts';
import type { UnitName } from '../unit/unit-name.ts';
import { type Submission, submitFiles } from './submit.ts';

/** A request for one unit: a text, a target state, or both. */
export type UnitRequest = {
  readonly name: UnitName;
  /** Undefined to keep the text of a unit that the registry has. */
  readonly text: string | undefined;
  /** Undefined to keep it; for a new unit it is then `inactive`. */
  readonly target: TargetState | undefined;
  /** The name of the source of the text in messages. */
  readonly source: string;
};

/** Stores a request and does not wait for machines: a controller, which watches the registry, applies it. */
export function requestUnit(
  registry: Registry,
  { name, text, target, source }: UnitRequest,
): Promise<Submission> {
  const own = text === undefined ? undefined : { path: source, content: text };
  const file = { name, own, template: undefined, beside: new Set<string>() };
  return submitFiles(registry, [file], true, (unit) => target ?? unit.target);
}

/**
 * Deletes a unit. The next pass of a controller stops and removes its copies, and those on unreachable machines when they
 * are back. Resolves with false for a unit that the registry does not have.
 */
export async function forgetUnit(registry: Registry, name: string): Promise<boolean> {
  let known = false;
  await registry.update((view) => {
    known = view.units.has(name);
    return known ? [{ kind: 'delete-unit', name }] : [];
  });
  return known;
}
