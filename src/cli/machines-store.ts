import { FleetError } from '../base/errors.ts';
import { isSameAddress } from '../config/address.ts';
import type { Config } from '../config/config.ts';
import type { Machine } from '../machine/machine.ts';
import { openQuorumStore, type QuorumStore } from '../quorum/store.ts';
import type { VoterAnswer, VoterRequest } from '../quorum/voters.ts';
import { clusterMachines, machinesNamed } from '../registry/inventory.ts';
import { RegistryView } from '../registry/view.ts';
import type { Snapshot } from '../store/snapshot.ts';
import type { Change } from '../store/store.ts';
import { DEFAULT_WAIT, renewSessions, type SystemdDriver } from '../systemd/driver.ts';
import { registerQuery } from '../systemd/register.ts';
import { createSshDriver } from '../systemd/ssh-driver.ts';
import { clusterAccess, transportFor } from './access.ts';
import { cacheFolder } from './cache-folder.ts';
import { followPass } from './follow-pass.ts';
import { sshTargets } from './ssh-targets.ts';
import { storedRegistry, WHOLE_REGISTRY } from './stored-registry.ts';
import type { Streams } from './streams.ts';
import { textCache } from './text-cache.ts';
import { voterWaits } from './voter-waits.ts';

export type MachinesStore = {
  readonly store: QuorumStore;
  /** Gives it the machines as the registry describes them, because an address of fleet.conf may be outdated. */
  readonly relocate: (machines: readonly Machine[]) => void;
};

/** How machines are reached, and what gets the names of those that the registry waits for. */
export type Reaching = {
  readonly driver: SystemdDriver;
  readonly onVoters: (machines: readonly string[]) => void;
  /** Is called with the store's own close. */
  readonly close?: () => Promise<void>;
  /** Whether the process is about to change the store. */
  readonly reserves?: boolean;
};

/**
 * A store in a register on the machines of the configuration. Without `reaching`, a driver is made for it, and long waits are
 * shown.
 */
export async function openMachinesStore(
  register: string,
  config: Config,
  streams: Streams,
  reaching?: Reaching,
): Promise<MachinesStore> {
  const { driver: reached, onVoters, close } = reaching ?? (await reachingAlone(config, streams));
  const waiting = voterWaits(onVoters);
  let sessions = renewSessions(reached);
  // A wait occupies its session.
  let waits = renewSessions(reached);
  const outdated: SystemdDriver[] = [];
  const last = new Map<string, Promise<unknown>>();
  const machines = new Map(
    config.machines.map(({ machine }) => [machine.name, { ...machine, metadata: machine.metadata ?? {} }]),
  );
  // A session takes one request after the other, and a proposer does not wait for the slowest voter.
  const inTurn = (machine: Machine, request: VoterRequest): Promise<VoterAnswer> => {
    const answer = (last.get(machine.name) ?? Promise.resolve()).then(() =>
      sessions.connect(machine).ask(registerQuery(request)),
    );
    last.set(
      machine.name,
      answer.catch(() => undefined),
    );
    return answer;
  };
  const locate = locator([...machines.values()], (machine) => inTurn(machine, WHOLE_REGISTRY));
  const store = openQuorumStore({
    register,
    machines: config.machines.map(({ machine: { name }, voter }) => ({ machine: name, mark: voter })),
    // A lock is renewed every few seconds, so its texts are not worth a file.
    cache: textCache(register === 'head' ? cacheFolder('registry', streams.env, streams.home) : undefined),
    reserves: reaching?.reserves ?? false,
    ...(register === 'head' ? OF_CLUSTER : ANYWHERE),
    async ask(name, request) {
      const find = async (): Promise<Machine> => {
        const machine = machines.get(name) ?? (await locate(name));
        machines.set(name, machine);
        return machine;
      };
      if (request.action.kind === 'wait') return waits.connect(await find()).ask(registerQuery(request));
      return waiting.asking(name, async () => inTurn(await find(), request));
    },
    during: waiting.during,
    async close() {
      await Promise.all([...outdated, sessions, waits].map((each) => each.close()));
      await close?.();
    },
  });
  const relocate = (known: readonly Machine[]): void => {
    const moved = known.filter(({ name, address }) => {
      const before = machines.get(name);
      return before !== undefined && !isSameAddress(before.address, address);
    });
    for (const machine of known) machines.set(machine.name, machine);
    if (moved.length === 0) return;
    outdated.push(sessions, waits);
    sessions = renewSessions(reached);
    waits = renewSessions(reached);
  };
  return { store, relocate };
}

/** Only the head is that of a cluster; a lock may begin anywhere. */
const OF_CLUSTER = { machinesIn, belongsTo: namesCluster };
const ANYWHERE = { belongsTo: () => true };

/** The machines of a registry, one for each address, because a machine counts once. */
function machinesIn({ revision, records }: Snapshot): readonly string[] {
  const machines = clusterMachines(new RegistryView(revision, records), []);
  const isFirst = ({ address }: Machine, at: number): boolean =>
    machines.findIndex((other) => isSameAddress(other.address, address)) === at;
  return machines.filter(isFirst).map(({ name }) => name);
}

/** Finds voters that fleet.conf does not have, or has by an old name, in what its machines have stored. */
function locator(
  machines: readonly Machine[],
  ask: (machine: Machine) => Promise<VoterAnswer>,
): (name: string) => Promise<Machine> {
  const found = new Map<string, Promise<Machine>>();
  const search = async (name: string): Promise<Machine> => {
    const looks = machines.map(async (machine) => {
      const view = storedRegistry(await ask(machine));
      const voter = view && machinesNamed([name], view, machines)[0];
      return voter ?? Promise.reject(new FleetError('machine-not-found', `No such machine: "${name}"`));
    });
    return Promise.any(looks).catch(() => {
      throw new FleetError('machine-not-found', `Cannot find voter "${name}"`, {
        hint: 'No machine of this fleet.conf that answers has its address',
      });
    });
  };
  return (name) => {
    const known = found.get(name) ?? search(name);
    found.set(name, known);
    known.catch(() => found.delete(name));
    return known;
  };
}

/** Whether changes store the document of that cluster, as `recover` and `registry copy` do. */
function namesCluster(changes: readonly Change[], cluster: string): boolean {
  return changes.some(
    (change) =>
      change.kind === 'put' && change.key === 'cluster' && change.value.includes(JSON.stringify(cluster)),
  );
}

async function reachingAlone(config: Config, streams: Streams): Promise<Reaching> {
  const access = await clusterAccess(config, sshTargets(config, streams).machines, streams);
  const driver = createSshDriver(transportFor(config, streams), {
    access,
    settleMs: config.settle,
    wait: DEFAULT_WAIT,
  });
  const { onVoters, end } = followPass(streams, false);
  return {
    driver,
    onVoters,
    close() {
      end();
      return driver.close();
    },
  };
}
