import type { Cordon } from '../cluster/snapshot.ts';
import type { Ports } from '../reconcile/ports.ts';
import { UNKNOWN_MACHINE } from '../registry/edit.ts';
import { findMachine } from './find-machine.ts';

/** What became of one machine: `changed` is false for one that was so already. */
export type CordonResult = { readonly machine: string; readonly changed: boolean };

/**
 * Keeps new units from machines, or lets them have units again (`undefined`). What is on them stays, but for global
 * units with `all`. Throws FleetError `machine-not-found` or `usage` before anything is changed.
 */
export async function setCordon(
  ports: Ports,
  arguments_: readonly string[],
  cordon: Cordon | undefined,
): Promise<readonly CordonResult[]> {
  const names: string[] = [];
  for (const text of arguments_) names.push((await findMachine(ports, { kind: 'machine', text })).name);
  let results: readonly CordonResult[] = [];
  await ports.registry.update((view) => {
    results = [...new Set(names)].map((machine) => ({
      machine,
      changed: view.machines.get(machine)?.cordon !== cordon,
    }));
    return results
      .filter(({ changed }) => changed)
      .flatMap(({ machine }) => {
        const known = view.machines.get(machine) ?? UNKNOWN_MACHINE;
        const event =
          cordon === undefined
            ? ({ kind: 'uncordon', machine } as const)
            : ({ kind: 'cordon', machine, globals: cordon === 'all' } as const);
        return [
          { kind: 'put-machine', name: machine, known: { ...known, cordon } } as const,
          { kind: 'log', events: [event] } as const,
        ];
      });
  });
  return results;
}
