import { FleetError, isFleetError } from '../base/errors.ts';
import { canonicalAddress, isSameAddress } from '../config/address.ts';
import type { Config } from '../config/config.ts';
import type { Machine, ProposedMachine } from '../machine/machine.ts';
import type { QuorumOptions } from '../quorum/options.ts';
import type { AcceptedRounds } from '../quorum/progress.ts';
import { openQuorumStore, type QuorumStore } from '../quorum/store.ts';
import type { VoterAnswer, VoterRequest } from '../quorum/voters.ts';
import { asProposed, clusterMachines, conditionOf, machinesNamed } from '../registry/inventory.ts';
import type { Registry } from '../registry/registry.ts';
import { RegistryView } from '../registry/view.ts';
import type { Snapshot } from '../store/snapshot.ts';
import type { Change } from '../store/store.ts';
import { DEFAULT_WAIT, renewSessions, type SystemdDriver } from '../systemd/driver.ts';
import { registerQuery } from '../systemd/register.ts';
import { createSshDriver } from '../systemd/ssh-driver.ts';
import { type VoterPlace, voterPlacesQuery } from '../systemd/voter-places.ts';
import { acceptedRounds, shownBy } from './accepted-rounds.ts';
import { clusterAccess, transportFor } from './access.ts';
import { cacheFolder } from './cache-folder.ts';
import { followPass } from './follow-pass.ts';
import { proposedVoters, refuseOtherVoters } from './named-voters.ts';
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

/** How machines are reached, and for another register than that of the registry, the registry that it is for. */
type Given = { readonly reaching?: Reaching | undefined; readonly registry?: KnownRegistry | undefined };

type KnownRegistry = Pick<Registry, 'load'>;

/**
 * A store in a register on the machines of the configuration. Without `reaching`, a driver is made for it, and long waits are
 * shown. `registry` says which machines may be the first voters.
 */
export async function openMachinesStore(
  register: string,
  config: Config,
  streams: Streams,
  { reaching, registry }: Given = {},
): Promise<MachinesStore> {
  const { driver: reached, onVoters, close } = reaching ?? (await reachingAlone(config, streams));
  const waiting = voterWaits(onVoters);
  let sessions = renewSessions(reached);
  // A wait occupies its session.
  let waits = renewSessions(reached);
  const outdated: SystemdDriver[] = [];
  const machines = new Map(
    config.machines.map(({ machine }) => [machine.name, { ...machine, metadata: machine.metadata ?? {} }]),
  );
  const askInTurn = inTurn((machine, request) => sessions.connect(machine).ask(registerQuery(request)));
  const locate = locator(machines, (machine) => askInTurn(machine, WHOLE_REGISTRY));
  // A lock is renewed every few seconds, so nothing about it is worth a file.
  const folder = register === 'head' ? cacheFolder('registry', streams) : undefined;
  const accepted = acceptedRounds(folder);
  const store = openQuorumStore({
    register,
    machines: config.machines.map(({ machine: { name }, voter }) => ({ machine: name, mark: voter })),
    cache: textCache(folder),
    accepted: accepted.rounds,
    reserves: reaching?.reserves ?? false,
    ...(register === 'head'
      ? rulesOf(config, (machine) => sessions.connect(machine), accepted.rounds)
      : rulesBeside(registry)),
    async ask(name, request) {
      const find = async (): Promise<Machine> => {
        const machine = machines.get(name) ?? (await locate(name));
        machines.set(name, machine);
        return machine;
      };
      if (request.action.kind === 'wait') return waits.connect(await find()).ask(registerQuery(request));
      return waiting.asking(name, async () => askInTurn(await find(), request));
    },
    during: waiting.during,
    async close() {
      accepted.save();
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

type AskMachine = (machine: Machine, request: VoterRequest) => Promise<VoterAnswer>;

/** A session takes one request after the other, and a proposer does not wait for the slowest voter. */
function inTurn(ask: AskMachine): AskMachine {
  const last = new Map<string, Promise<unknown>>();
  return (machine, request) => {
    const answer = (last.get(machine.name) ?? Promise.resolve()).then(() => ask(machine, request));
    last.set(
      machine.name,
      answer.catch(() => undefined),
    );
    return answer;
  };
}

type Rules = Pick<QuorumOptions, 'machinesIn' | 'belongsTo' | 'conditionsIn' | 'confirmAbsence' | 'voters'>;

/** Only the head is that of a cluster; a lock may begin anywhere. */
function rulesBeside(registry: KnownRegistry | undefined): Rules {
  return {
    belongsTo: () => true,
    async conditionsIn() {
      const view = await registry?.load();
      return (machine) => (view === undefined ? 'good' : conditionOf(machine, view));
    },
  };
}

function rulesOf({ machines }: Config, connect: SystemdDriver['connect'], accepted: AcceptedRounds): Rules {
  const proposed = machines.map(({ machine }) => machine);
  const votersOf = async (owned: readonly string[]): Promise<ReadonlyMap<string, readonly VoterPlace[]>> => {
    const asked = asProposed(proposed).filter(({ name }) => owned.includes(name));
    const voters = asked.map(
      async (machine) => [machine.name, await connect(machine).ask(voterPlacesQuery())] as const,
    );
    return new Map(await Promise.all(voters));
  };
  return {
    machinesIn: (snapshot) => machinesIn(snapshot, proposed),
    belongsTo: namesCluster,
    conditionsIn({ revision, records }) {
      const view = new RegistryView(revision, records);
      return (machine) => conditionOf(machine, view);
    },
    confirmAbsence: async (owned) => refuseOtherVoters(await votersOf(owned), proposed),
    async voters(owned) {
      const named = await votersOf(owned).catch((error) => {
        if (isFleetError(error)) return new Map<string, readonly VoterPlace[]>();
        throw error;
      });
      const found = proposedVoters(named, proposed);
      return found.length > 0 ? found : shownBy(accepted);
    },
  };
}

/** The machines of fleet.conf and of a registry, one for each address, because a machine counts once. */
function machinesIn(
  { revision, records }: Snapshot,
  proposed: readonly ProposedMachine[],
): readonly string[] {
  const names = new Map<string, string>();
  for (const { name, address } of clusterMachines(new RegistryView(revision, records), proposed)) {
    const key = canonicalAddress(address);
    if (!names.has(key)) names.set(key, name);
  }
  return [...names.values()];
}

/** Finds voters that fleet.conf does not have, or has by an old name, in what the known machines have stored. */
function locator(
  known: ReadonlyMap<string, Machine>,
  ask: (machine: Machine) => Promise<VoterAnswer>,
): (name: string) => Promise<Machine> {
  const found = new Map<string, Promise<Machine>>();
  const search = async (name: string): Promise<Machine> => {
    const machines = [...known.values()];
    const looks = machines.map(async (machine) => {
      const view = storedRegistry(await ask(machine));
      const voter = view && machinesNamed([name], view, machines)[0];
      return voter ?? Promise.reject(new FleetError('machine-not-found', `No such machine: "${name}"`));
    });
    return Promise.any(looks).catch(() => {
      throw new FleetError('machine-not-found', `Cannot find voter "${name}"`, {
        hint: 'No machine of this fleet.conf that answers has its address: add it to fleet.conf, or write a new one with fleetctl join',
      });
    });
  };
  return (name) => {
    const searched = found.get(name) ?? search(name);
    found.set(name, searched);
    searched.catch(() => found.delete(name));
    return searched;
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
