import { FleetError } from '../base/errors.ts';
import { sha256 } from '../base/hash.ts';
import { isSameAddress } from '../config/address.ts';
import type { Config } from '../config/config.ts';
import type { Machine } from '../machine/machine.ts';
import { parseHead } from '../quorum/head.ts';
import { snapshotOf } from '../quorum/segments.ts';
import { openQuorumStore, type QuorumStore } from '../quorum/store.ts';
import type { VoterAnswer, VoterRequest } from '../quorum/voters.ts';
import { machinesNamed } from '../registry/inventory.ts';
import { RegistryView } from '../registry/view.ts';
import { renewSessions, type SystemdDriver } from '../systemd/driver.ts';
import { registerQuery } from '../systemd/register.ts';
import { createSshDriver } from '../systemd/ssh-driver.ts';
import { clusterAccess, transportFor } from './access.ts';
import { cacheFolder } from './cache-folder.ts';
import { followPass } from './follow-pass.ts';
import { sshTargets } from './ssh-targets.ts';
import type { Streams } from './streams.ts';
import { acceptedRounds, textCache } from './voter-cache.ts';
import { type KnownRegistry, lockRules, registryRules } from './voter-rules.ts';

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
  const proposed = config.machines.map(({ machine }) => machine);
  const machines = new Map(
    proposed.map((machine) => [machine.name, { ...machine, metadata: machine.metadata ?? {} }]),
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
      ? registryRules(proposed, (machine) => sessions.connect(machine), accepted.rounds)
      : lockRules(registry)),
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

async function reachingAlone(config: Config, streams: Streams): Promise<Reaching> {
  const access = await clusterAccess(config, sshTargets(config, streams).machines, streams);
  const driver = createSshDriver(transportFor(config, streams), { access, settleMs: config.settle });
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

/** The machines that reads and changes of a registry wait for. */
export type VoterWaits = {
  /** Runs a read or a change of the registry. */
  during<T>(call: () => Promise<T>): Promise<T>;
  /** Runs a request of it to a machine. */
  asking<T>(machine: string, request: () => Promise<T>): Promise<T>;
};

/** Calls `tell` with the machines that are waited for, each time they change; with none once a majority has answered. */
export function voterWaits(tell: (machines: readonly string[]) => void): VoterWaits {
  const asked: string[] = [];
  let calls = 0;
  const update = (): void => tell(calls === 0 ? [] : [...new Set(asked)]);
  return {
    async during(call) {
      calls++;
      try {
        return await call();
      } finally {
        calls--;
        update();
      }
    },
    async asking(machine, request) {
      asked.push(machine);
      update();
      try {
        return await request();
      } finally {
        asked.splice(asked.indexOf(machine), 1);
        update();
      }
    },
  };
}

/** The request for everything that a machine has stored of the registry. */
export const WHOLE_REGISTRY: VoterRequest = {
  register: 'head',
  action: { kind: 'read' },
  unlessKnown: [],
};

/**
 * The registry as one machine has stored it, from its answer to {@link WHOLE_REGISTRY}. A majority of the voters may have a later
 * one, so this only tells where the voters are. Undefined if the machine has none, or not all of its contents.
 */
export function storedRegistry({ state, stored, texts, invalid }: VoterAnswer): RegistryView | undefined {
  const head = parseHead(stored.accepted?.value ?? '');
  const contents = new Map(texts.map((text) => [sha256(text), text]));
  if (state === undefined || head === undefined || invalid === true) return undefined;
  if (!head.segments.every(({ hash }) => contents.has(hash))) return undefined;
  const { revision, records } = snapshotOf(head.revision, head.segments, contents);
  return new RegistryView(revision, records);
}
