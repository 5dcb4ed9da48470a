import { setTimeout as sleep } from 'node:timers/promises';
import { quote } from '../../src/ssh/shell.ts';
import type { Fleetd } from '../e2e/fleetd.ts';
import type { Operator } from '../e2e/operator.ts';
import { cluster, inside } from '../support/cluster.ts';
import { pick } from '../support/random.ts';
import {
  type Chronicle,
  type ControllerTroubleKind,
  LEADER,
  STANDBY,
  type TroubleKind,
} from './chronicle.ts';
import { fileOf, some, textOf } from './units.ts';

/** What all who make trouble share. Each has random numbers of its own, so that their order does not matter. */
export type Scene = {
  readonly operator: Operator;
  readonly machines: readonly string[];
  readonly units: readonly string[];
  readonly chronicle: Chronicle;
  readonly isOver: () => boolean;
};

type Trick = { readonly begin: Act; readonly end: Act };
type Act = (machine: string) => Promise<unknown>;

const TRICKS: Readonly<Record<Exclude<TroubleKind, 'hostile'>, Trick>> = {
  kill: { begin: (machine) => cluster('kill', machine), end: (machine) => cluster('start', machine) },
  hang: { begin: (machine) => cluster('hang', machine), end: (machine) => cluster('resume', machine) },
  cut: { begin: (machine) => cluster('cut', machine), end: (machine) => cluster('heal', machine) },
  sshd: {
    begin: (machine) => inside(machine, 'systemctl kill --signal=KILL sshd; systemctl stop sshd'),
    end: (machine) => inside(machine, 'systemctl start sshd'),
  },
  reboot: { begin: (machine) => cluster('reboot', machine), end: async () => undefined },
};

/** Troubles one machine after the other, each for up to `mostMs`; several of these never take the same machine. */
export async function troubleMachines(scene: Scene, random: () => number, mostMs: number): Promise<void> {
  while (!scene.isOver()) {
    await sleep(random() * scene.chronicle.ttlMs);
    const well = scene.machines.filter((machine) => !scene.chronicle.isInTrouble(machine));
    const machine = pick(random, well);
    const kind = pick(random, Object.keys(TRICKS) as (keyof typeof TRICKS)[]);
    const trouble = scene.chronicle.begin(machine, kind);
    await TRICKS[kind].begin(machine);
    if (kind !== 'reboot') await sleep(1_000 + random() * mostMs);
    await TRICKS[kind].end(machine);
    trouble.to = Date.now();
  }
}

/** What a machine does with every command, in the language of its shell; `honest` runs it. */
const ATTACKS = [
  'exec yes',
  'exec yes >&2',
  "honest | sed -u 's/^\\([0-9a-f]\\{32\\} facts [0-9]*\\) [0-9]*$/\\1 999999999999/'; exec yes",
  "honest | sed -u 's/[0-9-]\\{10\\} \\([0-9:]\\{8\\} UTC\\)/9999-99-99 \\1/'",
  "honest | sed -u 's/^unit=./unit=\\//'",
] as const;

/** Ends every session of a machine of the cluster, so that the next one goes by the settings as they are. */
const NEW_SESSIONS = 'systemctl kill --signal=KILL sshd; systemctl restart sshd';

/** Has one machine attack all that look at it, in another way every minute. */
export async function beHostile(scene: Scene, random: () => number, machine: string): Promise<void> {
  while (!scene.isOver()) {
    await sleep(random() * 5_000);
    if (scene.isOver() || scene.chronicle.isInTrouble(machine)) continue;
    const trouble = scene.chronicle.begin(machine, 'hostile');
    const command = `honest() { /bin/sh -c "$SSH_ORIGINAL_COMMAND"; }\n${pick(random, ATTACKS)}\n`;
    const script = `printf %s ${quote(command)} >/run/hostile`;
    await inside(
      machine,
      `${script}; sed -i '1i ForceCommand /bin/sh /run/hostile' /etc/ssh/sshd_config; ${NEW_SESSIONS}`,
    );
    await sleep(5_000 + random() * 10_000);
    await inside(machine, `sed -i '/^ForceCommand/d' /etc/ssh/sshd_config; ${NEW_SESSIONS}`);
    trouble.to = Date.now();
    for (let rest = 0; rest < 40 && !scene.isOver(); rest++) await sleep(1_000);
  }
}

/** What can happen to the first fleetd, whose memory is told over the whole time, and to the second. */
const MISFORTUNES: readonly (readonly ControllerTroubleKind[])[] = [
  ['SIGSTOP', 'SIGHUP'],
  ['SIGKILL', 'SIGTERM', 'SIGSTOP', 'SIGHUP'],
];

/** Freezes and reloads both controllers; kills and ends the second, and has a new one in its place. */
export async function troubleControllers(
  scene: Scene,
  random: () => number,
  crew: { readonly now: Fleetd[]; readonly start: () => Fleetd },
): Promise<void> {
  while (!scene.isOver()) {
    await sleep(5_000 + random() * 15_000);
    const place = random() < 0.5 ? 0 : 1;
    const victim = crew.now[place];
    const what = pick(random, MISFORTUNES[place] ?? []);
    const trouble = scene.chronicle.begin(victim?.leads ? LEADER : STANDBY, what);
    victim?.signal(what);
    if (what === 'SIGSTOP') await sleep(random() * 12_000);
    if (what === 'SIGSTOP') victim?.signal('SIGCONT');
    if (what === 'SIGKILL') await sleep(random() * 8_000);
    if (what === 'SIGKILL' || what === 'SIGTERM') {
      await victim?.end(what);
      crew.now[place] = crew.start();
    }
    trouble.to = Date.now();
  }
}

/** One operator, who does one thing after the other. */
export async function operate(scene: Scene, random: () => number): Promise<void> {
  let version = 1;
  while (!scene.isOver()) {
    const units = some(random, scene.units, 5);
    const machine = pick(random, scene.machines);
    const wishes = [
      () => command(scene, 'start', ...units),
      () => command(scene, 'start', ...units),
      () => command(scene, 'stop', ...units),
      () => command(scene, 'restart', ...units),
      () => command(scene, 'destroy', ...units),
      () => command(scene, 'cordon', machine),
      () => command(scene, 'uncordon', ...scene.machines),
      () => command(scene, 'drain', '--max-parallel=10', machine),
      () => command(scene, 'reconcile'),
      () => byHand(scene, machine, pick(random, units)),
      () => {
        version++;
        for (const unit of units) scene.operator.write(fileOf(unit), textOf(unit, version));
        return command(scene, 'start', '--replace', ...units);
      },
    ];
    await pick(random, wishes)();
    await sleep(random() * 3_000);
  }
}

/** Runs fleetctl, and writes down how that went. */
export async function command({ operator, chronicle }: Scene, ...words: readonly string[]): Promise<void> {
  const from = Date.now();
  const outcome = await operator.fleetctl(...words);
  chronicle.deeds.push({ words, from, to: Date.now(), outcome });
}

/** Somebody on the machine stops a unit there, without fleet. */
async function byHand({ chronicle }: Scene, machine: string, unit: string): Promise<void> {
  if (chronicle.isInTrouble(machine)) return;
  const from = Date.now();
  // It may be in trouble by now, or not have the unit.
  await inside(machine, `systemctl stop ${unit}`).catch(() => undefined);
  chronicle.deeds.push({ words: ['by-hand', unit, machine], from, to: Date.now(), outcome: undefined });
}
