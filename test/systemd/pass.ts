import { sha1, sha256 } from '../../src/base/hash.ts';
import type { UnitOutcome } from '../../src/cluster/failure.ts';
import type { ClusterSnapshot, DesiredUnit, Observation } from '../../src/cluster/snapshot.ts';
import type { TargetState } from '../../src/cluster/unit-state.ts';
import { plan } from '../../src/plan/plan.ts';
import type { UnitChange } from '../../src/plan/step.ts';
import { observeQuery } from '../../src/systemd/observation.ts';
import { parsePlacement } from '../../src/unit/placement.ts';
import { parseUnitFile } from '../../src/unit/unit-file.ts';
import { parseUnitName } from '../../src/unit/unit-name.ts';
import { CLUSTER, type LocalMachine, MACHINE_ID, type SessionOptions } from '../support/local-machine.ts';

/** What is wanted of a unit on the machine; `inactive` is that it is not there. */
export type Wish = {
  readonly name: string;
  readonly text: string;
  readonly target: TargetState;
  readonly token: number;
};

/** What plan/ makes of the wishes and of what the machine says. */
export function planFor(wishes: readonly Wish[], observation: Observation): readonly UnitChange[] {
  const machine = { name: 'web-1', address: '127.0.0.1', metadata: {} };
  const snapshot: ClusterSnapshot = {
    now: 0,
    agentTtlMs: 30_000,
    cutOff: 0.5,
    clusterId: CLUSTER,
    revision: Math.max(...wishes.map(({ token }) => token)),
    units: wishes.map(desired),
    machines: [{ machine, id: MACHINE_ID, observation, unreachable: undefined, backSince: undefined }],
    cordons: new Map(),
    drained: undefined,
  };
  const placements = wishes.map(
    ({ name, target }) => [name, target === 'inactive' ? [] : [MACHINE_ID]] as const,
  );
  return plan(snapshot, new Map(placements))[0]?.changes ?? [];
}

/** Looks, plans and changes in one session, as a pass does. */
export async function pass(
  machine: LocalMachine,
  wishes: readonly Wish[],
  options: SessionOptions = {},
): Promise<readonly UnitOutcome[]> {
  const { session, shell } = machine.connect(options);
  try {
    const observation = await session.ask(
      observeQuery({ names: wishes.map(({ name }) => name), digests: true }),
    );
    return await session.change(planFor(wishes, observation), CLUSTER);
  } finally {
    session.close();
    await shell.close();
  }
}

function desired({ name, text, target, token }: Wish): DesiredUnit {
  const placement = parsePlacement(parseUnitFile(text, name), parseUnitName(name));
  const machine = target === 'inactive' ? undefined : MACHINE_ID;
  return {
    name,
    text,
    hash: sha1(text),
    digest: sha256(text),
    placement,
    triggers: undefined,
    dependencies: [],
    target,
    machine,
    token,
  };
}
