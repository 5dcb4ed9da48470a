import { setTimeout as sleep } from 'node:timers/promises';
import type { Fleetd } from '../e2e/fleetd.ts';
import { cluster, inside } from '../support/cluster.ts';
import { pick } from '../support/random.ts';

const REGISTRY = '/var/lib/fleet/registry';
/** In one step, because a script may write into the folder meanwhile. */
const REMOVE = `rm -rf /root/gone; mv ${REGISTRY} /root/gone`;

/** A fault of machines and its repair. After one that `forgets`, no other begins until all voters have their state. */
type Fault = {
  readonly machines: 1 | 2;
  readonly forgets?: true;
  readonly begin: (...machines: readonly string[]) => Promise<unknown>;
  readonly end: (...machines: readonly string[]) => Promise<unknown>;
};

const nothing = async (): Promise<void> => undefined;
const verb =
  (name: string) =>
  (...machines: readonly string[]): Promise<unknown> =>
    cluster(name, ...machines);
const shell =
  (script: string) =>
  (machine = ''): Promise<unknown> =>
    inside(machine, script);

const FAULTS: Readonly<Record<string, Fault>> = {
  'power loss': { machines: 1, begin: verb('kill'), end: verb('start') },
  hang: { machines: 1, begin: verb('hang'), end: verb('resume') },
  cut: { machines: 1, begin: verb('cut'), end: verb('heal') },
  'cut of a pair': { machines: 2, begin: verb('cut'), end: verb('heal') },
  'power loss of a pair': { machines: 2, begin: verb('kill'), end: verb('start') },
  'full disk': { machines: 1, begin: verb('fill'), end: verb('unfill') },
  'read-only disk': {
    machines: 1,
    begin: shell(
      // A file that is open for writing prevents it for a moment.
      `mkdir -p ${REGISTRY}; mount --bind ${REGISTRY} ${REGISTRY}
      for try in $(seq 100); do mount -o remount,bind,ro ${REGISTRY} && break; sleep 0.05; done`,
    ),
    end: shell(`umount -l ${REGISTRY}`),
  },
  'no server': {
    machines: 1,
    begin: shell('systemctl kill --signal=KILL sshd; systemctl stop sshd'),
    end: shell('systemctl start sshd'),
  },
  'killed scripts': {
    machines: 1,
    begin: shell('systemctl kill --signal=KILL sshd; systemctl restart sshd'),
    end: nothing,
  },
  'held lock': {
    machines: 1,
    begin: shell(`flock ${REGISTRY}/lock sleep 8 >/dev/null 2>&1 &`),
    end: nothing,
  },
  'deleted folder': { machines: 1, forgets: true, begin: shell(REMOVE), end: nothing },
  'old backup': {
    machines: 1,
    forgets: true,
    begin: shell(`[ ! -d /root/backup ] || { ${REMOVE}; cp -aT /root/backup ${REGISTRY} || true; }`),
    end: nothing,
  },
  garbage: {
    machines: 1,
    forgets: true,
    begin: shell(`head -c 5000 /dev/urandom >${REGISTRY}/head.register`),
    end: nothing,
  },
};

export type FaultContext = {
  readonly machines: readonly string[];
  readonly isOver: () => boolean;
  /** Resolves when every voter has its state. */
  readonly whenWhole: () => Promise<void>;
  readonly onFault: (what: string) => void;
};

/** Injects one fault after the other into the machines. Some states are backed up meanwhile, for {@link FAULTS}. */
export async function injectFaults(context: FaultContext, random: () => number): Promise<void> {
  const { machines, isOver, whenWhole, onFault } = context;
  // Every kind occurs, however short the run is.
  let rest: string[] = [];
  while (!isOver()) {
    if (rest.length === 0) rest = Object.keys(FAULTS);
    const kind = pick(random, rest);
    rest = rest.filter((each) => each !== kind);
    const fault = FAULTS[kind];
    if (fault === undefined) throw new Error(kind);
    const first = Math.floor(random() * machines.length);
    const victims = machines.slice(first, first + fault.machines);
    if (victims.length < fault.machines) victims.push(...machines.slice(0, 1));
    onFault(`${kind}: ${victims.join(', ')}`);
    await fault.begin(...victims);
    await sleep(1000 + random() * 4000);
    await fault.end(...victims);
    if (fault.forgets) await whenWhole();
    else await sleep(random() * 2000);
    if (random() < 0.3)
      await inside(pick(random, machines), `rm -rf /root/backup; cp -a ${REGISTRY} /root/backup`).catch(
        nothing,
      );
  }
}

/** Pauses, ends and starts the controllers. */
export async function injectControllerFaults(
  isOver: () => boolean,
  random: () => number,
  fleetds: Fleetd[],
  start: () => Fleetd,
): Promise<void> {
  while (!isOver()) {
    await sleep(3000 + random() * 12_000);
    const index = Math.floor(random() * fleetds.length);
    const victim = fleetds[index];
    if (random() < 0.5) {
      victim?.signal('SIGSTOP');
      await sleep(random() * 8000);
      victim?.signal('SIGCONT');
    } else {
      await victim?.end('SIGKILL');
      fleetds[index] = start();
    }
  }
}
