import type { LoggedEvent } from '../cluster/logged-event.ts';
import { type ClusterSnapshot, type MachineView, machineNameOf } from '../cluster/snapshot.ts';
import type { Edit } from '../registry/edit.ts';
import type { RegistryView } from '../registry/view.ts';
import type { Decision } from '../schedule/decision.ts';

/** What the registry keeps of decisions, beside the assignments they lead to. */
export function logDecisions(decisions: readonly Decision[], snapshot: ClusterSnapshot): readonly Edit[] {
  const place = (id: string) => ({
    id,
    name: machineNameOf(id, snapshot),
  });
  return log(
    decisions.flatMap((decision): readonly LoggedEvent[] => {
      const { kind, unit } = decision;
      if (kind === 'place') return [{ kind, unit, to: place(decision.machine) }];
      if (kind !== 'move') return [];
      const { from, machine, because } = decision;
      return [{ kind, unit, from: place(from), to: place(machine), because }];
    }),
  );
}

/** What it keeps of machines that fell silent or came back since `registry`; `now` is epoch ms. */
export function logSilences(
  views: readonly MachineView[],
  registry: RegistryView,
  now: number,
): readonly Edit[] {
  return log(
    views.flatMap(({ machine: { name }, silence }): readonly LoggedEvent[] => {
      const before = registry.machines.get(name)?.silentSince;
      if (silence !== undefined && before === undefined) {
        return [{ kind: 'machine-lost', machine: name, message: silence.message }];
      }
      if (silence !== undefined || before === undefined) return [];
      return [{ kind: 'machine-back', machine: name, silentMs: Math.max(0, Math.round(now - before)) }];
    }),
  );
}

function log(events: readonly LoggedEvent[]): readonly Edit[] {
  return events.length === 0 ? [] : [{ kind: 'log', events }];
}
