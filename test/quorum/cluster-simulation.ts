import { isFleetError } from '../../src/base/errors.ts';
import { sha256 } from '../../src/base/hash.ts';
import type { VoterCandidate } from '../../src/quorum/choose.ts';
import { formatHead, type Head } from '../../src/quorum/head.ts';
import type { Membership } from '../../src/quorum/membership.ts';
import { openQuorumStore, type QuorumStore } from '../../src/quorum/store.ts';
import type { TextCache } from '../../src/quorum/voters.ts';
import type { Change } from '../../src/store/store.ts';
import { pick } from '../support/random.ts';
import { CLUSTER, eraOf, FOREIGN, Ledger, type Operation } from './ledger.ts';
import { type Disk, EMPTY_DISK } from './model-voters.ts';
import { type Machine, type MachineFault, World } from './world.ts';

/** What one history has seen. */
export type Account = {
  readonly violations: readonly string[];
  readonly steps: number;
  readonly acknowledged: number;
  readonly recoveries: number;
  /** Results of a registry that a single machine has made up, and was the only one to answer. */
  readonly foreign: number;
  readonly former: number;
  readonly refused: number;
};

const MACHINES = 6;
const OPERATORS = 2;

/** `revision`: that of its last list. */
type Client = { alive: boolean; readonly store: QuorumStore; seen: number; revision: number };

/**
 * One seeded history of stores on machines, through every fault of {@link World}, the loss of a majority with its recovery and its
 * return, changes of the voters, and a machine with a registry that was made up.
 */
export class ClusterSimulation {
  readonly world: World;
  readonly #ledger = new Ledger();
  /** Texts of an operator, which outlive a process. */
  readonly #caches = Array.from({ length: OPERATORS }, () => new Map<string, string>());
  #keys = 0;
  /** Operators recover until this step more often. */
  #lostUntil = 0;

  constructor(seed: number, fault?: MachineFault) {
    this.world = new World(seed, MACHINES, (disk, before) => this.#ledger.record(disk, before), fault);
    this.#found();
  }

  /** Runs `steps` events with several processes, then reads the registry without faults, after a recovery if that is needed. */
  async run(steps: number): Promise<Account> {
    const { world } = this;
    const clients = Array.from({ length: 3 }, () => this.#start());
    for (let step = 0; step < steps; step++) {
      if (world.random() < 0.004) {
        const index = Math.floor(world.random() * clients.length);
        (clients[index] as Client).alive = false;
        clients[index] = this.#start();
      }
      if (world.random() < 0.01) this.#fail();
      await world.step();
    }
    for (const client of clients) client.alive = false;
    await this.#end();
    const { operations, recoveries, former, foreign, refused } = this.#ledger;
    const acknowledged = operations.filter(({ end }) => end !== undefined).length;
    const { steps: all } = world;
    const violations = this.#ledger.judge();
    return { violations, steps: all, acknowledged, recoveries, former, foreign, refused: refused.size };
  }

  /** An agreement is judged by its holdings. */
  judge(
    holdings: readonly { readonly state: string; readonly head: Head }[],
    chosen: Head | undefined,
  ): void {
    const ours = holdings.filter(({ head }) => head.cluster === CLUSTER);
    if (chosen === undefined) return;
    if (chosen.cluster !== CLUSTER && ours.length >= holdings.length - ours.length)
      this.#ledger.violations.push('a registry counts that no more machines have than that of the cluster');
    if (
      chosen.cluster === CLUSTER &&
      ours.some(({ head }) => eraOf(head.membership) > eraOf(chosen.membership))
    )
      this.#ledger.violations.push('an era counts although a machine has a later one');
  }

  /** The registry is on the first three machines. */
  #found(): void {
    const voters = this.world.machines
      .slice(0, 3)
      .map(({ name }) => ({ machine: name, state: this.world.newId() }));
    for (const [index, { state }] of voters.entries())
      this.#store(this.world.machines[index] as Machine, state, { epoch: 1, voters }, CLUSTER, 'first');
  }

  #store(machine: Machine, state: string, membership: Membership, cluster: string, key: string): void {
    const text = `${JSON.stringify([key, 1, ''])}\n`;
    const hash = sha256(text);
    const segments = [{ hash, bytes: text.length }];
    const head: Head = { membership, cluster, revision: 1, segments, commits: [sha256(key).slice(0, 32)] };
    const ballot = { round: cluster === CLUSTER ? 1 : 1000, proposer: 1 };
    const value = formatHead(head);
    const stored = { promised: ballot, accepted: { ballot, value } };
    const action = { kind: 'accept', state, ballot, value, contents: [{ hash, text }] } as const;
    this.#ledger.learn({ register: 'head', action });
    this.#replace(machine, { state, stored, texts: new Map([[hash, text]]) });
  }

  #replace(machine: Machine, disk: Disk): void {
    this.world.losePower(machine, 0);
    machine.disk = disk;
    this.#ledger.record(disk);
  }

  #start(): Client {
    const { world } = this;
    const files = pick(world.random, this.#caches);
    const client: Client = { alive: true, seen: 0, revision: 0, store: this.#open(files, () => client) };
    void this.#operate(client);
    // A wait for a change reads while something is committed.
    if (world.random() < 0.5) void this.#operate(client);
    return client;
  }

  #open(files: Map<string, string>, client: () => Client): QuorumStore {
    const { world } = this;
    const cache: TextCache = {
      known: () => [...files.keys()],
      get: (hash) => files.get(hash),
      put: (hash, text) => void files.set(hash, text),
      keep: () => undefined,
    };
    return openQuorumStore({
      register: 'head',
      reserves: world.random() < 0.5,
      machines: world.machines.map(({ name }) => ({ machine: name, mark: undefined })),
      belongsTo: () => true,
      machinesIn: () => world.machines.map(({ name }) => name),
      cache,
      ask: async (machine, request) => {
        this.#ledger.learn(request);
        const answer = await world.ask(machine, request, () => client().alive);
        const head = answer.invalid ? undefined : this.#ledger.headOn(answer);
        if (head?.cluster === CLUSTER) client().seen = Math.max(client().seen, eraOf(head.membership));
        return answer;
      },
    });
  }

  async #operate(client: Client): Promise<void> {
    const { random } = this.world;
    for (;;) {
      await this.world.later();
      if (!client.alive) return;
      const kind = random() * (this.#lostUntil > this.world.steps ? 1.3 : 1);
      if (kind < 0.45) await this.#attempt(() => this.#commit(client));
      else if (kind < 0.85) await this.#attempt(() => this.#list(client));
      else if (kind < 0.93) await this.#attempt(() => client.store.tend(this.#candidates()));
      else await this.#attempt(() => this.#recover(client));
    }
  }

  /** A failure of a store is a FleetError. */
  async #attempt(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!isFleetError(error)) this.#ledger.violations.push(`a store has failed: ${(error as Error).stack}`);
    }
  }

  #begin(client: Client, kind: Operation['kind'], key = `${kind}-${++this.#keys}`): Operation {
    const operation: Operation = { key, kind, start: this.world.steps, seen: client.seen };
    this.#ledger.operations.push(operation);
    return operation;
  }

  async #commit(client: Client): Promise<void> {
    const operation = this.#begin(client, 'commit');
    // A revision may follow that was proposed, and is dropped later.
    const at = client.revision + pick(this.world.random, [0, 1]);
    const changes = [put(operation.key)];
    const result = await client.store.commit(changes, this.world.random() < 0.5 ? at : undefined);
    if (result.kind === 'committed') this.#ledger.committed(operation, result.revision, this.world.steps);
    else this.#ledger.refused.add(operation.key);
  }

  async #list(client: Client): Promise<void> {
    const operation = this.#begin(client, 'list');
    const listing = await client.store.list('');
    client.revision = listing.revision;
    this.#ledger.listed(operation, listing, this.world.steps);
  }

  /** The operator confirms that the majority is lost, also if it only did not answer in time. */
  async #recover(client: Client): Promise<void> {
    const start = this.world.steps;
    const remains = await client.store.remains();
    if (remains === undefined) return;
    this.#ledger.recovered(remains, start);
    if (remains.head.cluster !== CLUSTER) return;
    if (this.world.random() < 0.5) await this.world.later();
    // The operator decides, whatever the process has seen.
    client.seen = 0;
    const operation = this.#begin(client, 'commit', `r${++this.#keys}`);
    const result = await remains.store.commit([put(operation.key)]);
    if (result.kind === 'committed') this.#ledger.committed(operation, result.revision, this.world.steps);
  }

  #candidates(): readonly VoterCandidate[] {
    const { random, machines, steps } = this.world;
    return machines.map(({ name, upFrom }) => ({
      machine: name,
      answers: upFrom <= steps || random() < 0.2,
      condition:
        upFrom > steps ? pick(random, ['good', 'lost']) : pick(random, ['good', 'good', 'good', 'drained']),
      mark: undefined,
    }));
  }

  #fail(): void {
    const { world } = this;
    const { random } = world;
    const machine = world.pickMachine();
    const kind = random();
    if (kind < 0.6) world.losePower(machine, random() * 50);
    else if (kind < 0.65) machine.backup = machine.disk;
    else if (kind < 0.7) this.#lose(machine, { ...machine.backup, isCopy: true });
    else if (kind < 0.8) this.#lose(machine);
    else if (kind < 0.9) this.#loseMajority();
    else this.#makeUp(machine);
  }

  /** It loses its disk, or gets a copy of it, if another machine still has the registry, as a voter or not. */
  #lose(machine: Machine, disk = EMPTY_DISK): void {
    const others = this.world.machines.filter((each) => each !== machine);
    if (others.some(({ disk }) => this.#ledger.headIn(disk)?.cluster === CLUSTER))
      this.#replace(machine, disk);
  }

  #loseMajority(): void {
    const { random, machines } = this.world;
    const voters = this.#ledger.latest?.membership.voters.map((voter) => voter.machine) ?? [];
    const most = voters.toSorted(() => random() - 0.5).slice(0, voters.length / 2 + 1);
    this.#lostUntil = this.world.steps + 200;
    for (const machine of machines) {
      if (!most.includes(machine.name)) continue;
      this.world.losePower(machine, 100 + random() * 300);
      if (random() < 0.3) this.#lose(machine);
    }
  }

  /** One machine has a registry that was made up, with the numbers of a later era; or its disk is replaced. */
  #makeUp(machine: Machine): void {
    const { world } = this;
    const forged = world.machines.find(
      ({ disk }) =>
        disk.stored.accepted !== undefined &&
        this.#holders.every((each) => each.disk !== disk) &&
        this.#isMadeUp(disk),
    );
    if (forged !== undefined) {
      this.#replace(forged, EMPTY_DISK);
      return;
    }
    const others = this.#holders.filter((each) => each !== machine);
    if (others.length < 2) return;
    const state = world.random() < 0.3 ? (pick(world.random, others).disk.state ?? '') : world.newId();
    const voters = [{ machine: machine.name, state }];
    const more =
      world.random() < 0.3 ? [world.newId(), world.newId()].map((id) => ({ machine: 'x', state: id })) : [];
    const membership = { epoch: 9 * 2 ** 20 + 3, voters: [...voters, ...more] };
    this.#store(machine, state, membership, FOREIGN, 'foreign');
    if (world.random() < 0.2) {
      const { stored } = machine.disk;
      const accepted = stored.accepted && { ...stored.accepted, value: 'garbage' };
      machine.disk = {
        ...machine.disk,
        stored: { promised: stored.promised, ...(accepted && { accepted }) },
      };
    }
  }

  #isMadeUp({ stored }: Disk): boolean {
    const { value = '' } = stored.accepted ?? {};
    return value === 'garbage' || value.includes(FOREIGN);
  }

  /** The machines that have the registry as voters. */
  get #holders(): readonly Machine[] {
    return this.world.machines.filter(({ disk }) => this.#ledger.headOn(disk)?.cluster === CLUSTER);
  }

  /** Everything answers now. A new process sees all machines, and continues without a majority if there is none. */
  async #end(): Promise<void> {
    const { world } = this;
    world.calm = true;
    for (const machine of world.machines) machine.upFrom = 0;
    const client: Client = { alive: true, seen: 0, revision: 0, store: this.#open(new Map(), () => client) };
    let isOver = false;
    // A request of a dead process may still arrive, and a recovery that it began leaves no majority. The next one ends it.
    const work = async (attempts: number): Promise<void> => {
      try {
        await this.#recover(client);
        await this.#list(client);
      } catch (error) {
        if (attempts === 1 || !isFleetError(error)) throw error;
        await work(attempts - 1);
      }
    };
    void work(5).then(
      () => {
        isOver = true;
      },
      (error) => {
        // Of two machines with different registries, none counts.
        if (this.#holders.length > 1 || !isFleetError(error, 'registry-no-majority'))
          this.#ledger.violations.push(`the registry cannot be read: ${error.message}`);
        isOver = true;
      },
    );
    for (let step = 0; !isOver && step < 20_000; step++) await world.step();
    if (!isOver) this.#ledger.violations.push('the last read does not end');
  }
}

function put(key: string): Change {
  return { kind: 'put', key, value: '', ifRevision: 0 };
}
