import { setTimeout as sleep } from 'node:timers/promises';
import { quote } from '../../src/ssh/shell.ts';
import type { Fleetd } from '../e2e/fleetd.ts';
import type { Operator } from '../e2e/operator.ts';
import { cluster, inside } from '../support/cluster.ts';
import { pick } from '../support/random.ts';
import { type ControllerFault, type EventLog, LEADER, type MachineFault, STANDBY } from './event-log.ts';
import { fileOf, some, textOf } from './units.ts';

/** Shared by all fault injectors. Each has its own random numbers, so that their order does not matter. */
export type SoakContext = {
  readonly operator: Operator;
  readonly machines: readonly string[];
  readonly units: readonly string[];
  readonly log: EventLog;
  readonly isOver: () => boolean;
};

type Injection = Readonly<Record<'inject' | 'repair', (machine: string) => Promise<unknown>>>;

const MACHINE_FAULTS: Readonly<Record<Exclude<MachineFault, 'hostile'>, Injection>> = {
  kill: { inject: (machine) => cluster('kill', machine), repair: (machine) => cluster('start', machine) },
  hang: { inject: (machine) => cluster('hang', machine), repair: (machine) => cluster('resume', machine) },
  cut: { inject: (machine) => cluster('cut', machine), repair: (machine) => cluster('heal', machine) },
  sshd: {
    inject: (machine) => inside(machine, 'systemctl kill --signal=KILL sshd; systemctl stop sshd'),
    repair: (machine) => inside(machine, 'systemctl start sshd'),
  },
  reboot: { inject: (machine) => cluster('reboot', machine), repair: async () => undefined },
};

/** Injects faults into one machine after another, each for up to `mostMs`. Parallel calls never use the same machine. */
export async function injectMachineFaults(
  context: SoakContext,
  random: () => number,
  mostMs: number,
): Promise<void> {
  while (!context.isOver()) {
    await sleep(random() * context.log.ttlMs);
    const working = context.machines.filter((machine) => !context.log.hasFault(machine));
    const machine = pick(random, working);
    const kind = pick(random, Object.keys(MACHINE_FAULTS) as (keyof typeof MACHINE_FAULTS)[]);
    const fault = context.log.beginFault(machine, kind);
    await MACHINE_FAULTS[kind].inject(machine);
    if (kind !== 'reboot') await sleep(1_000 + random() * mostMs);
    await MACHINE_FAULTS[kind].repair(machine);
    fault.to = Date.now();
  }
}

/** Shell text that replaces every command on a hostile machine; `honest` runs the original command. */
const ATTACKS = [
  'exec yes',
  'exec yes >&2',
  "honest | sed -u 's/^\\([0-9a-f]\\{32\\} facts [0-9]*\\) [0-9]*$/\\1 999999999999/'; exec yes",
  "honest | sed -u 's/[0-9-]\\{10\\} \\([0-9:]\\{8\\} UTC\\)/9999-99-99 \\1/'",
  "honest | sed -u 's/^unit=./unit=\\//'",
] as const;

/** Ends every session of a machine, so that new ones use the current sshd settings. */
const NEW_SESSIONS = 'systemctl kill --signal=KILL sshd; systemctl restart sshd';

/** Makes one machine answer with an attack, about once a minute. */
export async function injectHostileAnswers(
  context: SoakContext,
  random: () => number,
  machine: string,
): Promise<void> {
  while (!context.isOver()) {
    await sleep(random() * 5_000);
    if (context.isOver() || context.log.hasFault(machine)) continue;
    const fault = context.log.beginFault(machine, 'hostile');
    const command = `honest() { /bin/sh -c "$SSH_ORIGINAL_COMMAND"; }\n${pick(random, ATTACKS)}\n`;
    const script = `printf %s ${quote(command)} >/run/hostile`;
    await inside(
      machine,
      `${script}; sed -i '1i ForceCommand /bin/sh /run/hostile' /etc/ssh/sshd_config; ${NEW_SESSIONS}`,
    );
    await sleep(5_000 + random() * 10_000);
    await inside(machine, `sed -i '/^ForceCommand/d' /etc/ssh/sshd_config; ${NEW_SESSIONS}`);
    fault.to = Date.now();
    for (let rest = 0; rest < 40 && !context.isOver(); rest++) await sleep(1_000);
  }
}

/** The faults of each fleetd. The first one is never ended, so that its memory can be measured over the whole run. */
const CONTROLLER_FAULTS: readonly (readonly ControllerFault[])[] = [
  ['SIGSTOP', 'SIGHUP'],
  ['SIGKILL', 'SIGTERM', 'SIGSTOP', 'SIGHUP'],
];

/** Freezes and reloads both controllers; ends the second and starts a new one. */
export async function injectControllerFaults(
  context: SoakContext,
  random: () => number,
  fleetds: { readonly current: Fleetd[]; readonly start: () => Fleetd },
): Promise<void> {
  while (!context.isOver()) {
    await sleep(5_000 + random() * 15_000);
    const index = random() < 0.5 ? 0 : 1;
    const victim = fleetds.current[index];
    const signal = pick(random, CONTROLLER_FAULTS[index] ?? []);
    const fault = context.log.beginFault(victim?.leads ? LEADER : STANDBY, signal);
    victim?.signal(signal);
    if (signal === 'SIGSTOP') await sleep(random() * 12_000);
    if (signal === 'SIGSTOP') victim?.signal('SIGCONT');
    if (signal === 'SIGKILL') await sleep(random() * 8_000);
    if (signal === 'SIGKILL' || signal === 'SIGTERM') {
      await victim?.end(signal);
      fleetds.current[index] = fleetds.start();
    }
    fault.to = Date.now();
  }
}

/** One operator, with one action after another. */
export async function runOperator(context: SoakContext, random: () => number): Promise<void> {
  let version = 1;
  while (!context.isOver()) {
    const units = some(random, context.units, 5);
    const machine = pick(random, context.machines);
    const actions = [
      () => command(context, 'start', ...units),
      () => command(context, 'start', ...units),
      () => command(context, 'stop', ...units),
      () => command(context, 'restart', ...units),
      () => command(context, 'destroy', ...units),
      () => command(context, 'cordon', machine),
      () => command(context, 'uncordon', ...context.machines),
      () => command(context, 'drain', '--max-parallel=10', machine),
      () => command(context, 'reconcile'),
      () => stopByHand(context, machine, pick(random, units)),
      () => {
        version++;
        for (const unit of units) context.operator.write(fileOf(unit), textOf(unit, version));
        return command(context, 'start', '--replace', ...units);
      },
    ];
    await pick(random, actions)();
    await sleep(random() * 3_000);
  }
}

/** Runs fleetctl, and logs the outcome. */
export async function command({ operator, log }: SoakContext, ...words: readonly string[]): Promise<void> {
  const from = Date.now();
  const outcome = await operator.fleetctl(...words);
  log.actions.push({ words, from, to: Date.now(), outcome });
}

/** Stops a unit on a machine without fleet. */
async function stopByHand({ log }: SoakContext, machine: string, unit: string): Promise<void> {
  if (log.hasFault(machine)) return;
  const from = Date.now();
  // The machine may have a fault by now, or not have the unit.
  await inside(machine, `systemctl stop ${unit}`).catch(() => undefined);
  log.actions.push({ words: ['by-hand', unit, machine], from, to: Date.now(), outcome: undefined });
}
