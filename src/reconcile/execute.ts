import type { Failure, UnitOutcome } from '../cluster/failure.ts';
import type { ClusterSnapshot, MachineView } from '../cluster/snapshot.ts';
import type { MachinePlan } from '../plan/step.ts';
import type { Decision } from '../schedule/decision.ts';
import type { MachineSession } from '../systemd/driver.ts';
import { isTemplate, parseUnitName } from '../unit/unit-name.ts';

/**
 * Carries out plans, all machines at once; every machine is finished and reported. Machines that were needed
 * for a decision and did not answer are reported too.
 */
export async function execute(
  plans: readonly MachinePlan[],
  decisions: readonly Decision[],
  snapshot: ClusterSnapshot,
  sessions: ReadonlyMap<string, MachineSession>,
): Promise<readonly UnitOutcome[]> {
  const done = await Promise.all(
    plans.map(async ({ machine, changes }) => {
      const session = sessions.get(machine);
      if (session === undefined || snapshot.clusterId === undefined) return [];
      return session.change(changes, snapshot.clusterId);
    }),
  );
  return [...done.flat(), ...decisions.flatMap((decision) => outOfReach(decision, snapshot))];
}

/** What could not be done for a decision because a machine is silent or belongs to another cluster. */
function outOfReach(decision: Decision, snapshot: ClusterSnapshot): readonly UnitOutcome[] {
  return snapshot.machines.flatMap((machine): readonly UnitOutcome[] => {
    const failure = obstacleOn(machine, snapshot);
    if (failure === undefined || !isNeeded(decision, machine, snapshot)) return [];
    return [{ unit: decision.unit, machine: machine.machine.name, state: undefined, failure }];
  });
}

function obstacleOn(
  { silence, observation }: MachineView,
  { clusterId }: ClusterSnapshot,
): Failure | undefined {
  if (silence !== undefined) return { code: 'unreachable', message: silence.message, hint: silence.hint };
  const cluster = observation?.cluster;
  return cluster === undefined || cluster === clusterId ? undefined : { code: 'other-cluster', cluster };
}

/** Whether the decision asks for something on that machine. */
function isNeeded(decision: Decision, { machine, id }: MachineView, snapshot: ClusterSnapshot): boolean {
  switch (decision.kind) {
    case 'place':
    case 'keep':
    case 'move':
      return decision.machine === id;
    case 'everywhere':
      return decision.rejected.some(
        ({ machine: name, reason }) =>
          name === machine.name && (reason.code === 'machine-silent' || reason.code === 'other-cluster'),
      );
    case 'release':
      // A global unit may be on any machine that cannot be asked; a standard one is where it was assigned.
      return isGlobal(decision.unit, snapshot) || decision.from === id;
    case 'nowhere':
      return false;
  }
}

/** A template is never on a machine, whatever its instances are. */
function isGlobal(name: string, snapshot: ClusterSnapshot): boolean {
  const unit = snapshot.units.find((candidate) => candidate.name === name);
  return unit?.placement.global === true && !isTemplate(parseUnitName(name));
}
