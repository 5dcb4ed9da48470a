import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { FleetError } from '../base/errors.ts';
import type { Config, MachineConfig, SshConfig } from '../config/config.ts';
import { reachedMachine, unlistedMachine } from '../config/read.ts';
import type { Machine } from '../machine/machine.ts';
import { createTransport } from '../ssh/any-transport.ts';
import { type Access, BecomePassword } from '../ssh/become.ts';
import type { AskHostKey } from '../ssh/host-keys/trust.ts';
import type { SessionTransport } from '../ssh/transport.ts';
import { type MachineTarget, resolverOf, type SshTargets, sshTarget } from './ssh-targets.ts';
import type { Streams } from './streams.ts';

/** The transport to the machines' shells; passphrases, passwords and unknown host keys are asked for on the terminal. */
export function transportFor({ ssh }: SshConfig, streams: Streams): SessionTransport {
  const { ask, askSecret, env, home } = streams;
  return createTransport({
    environment: env,
    sshConfigFile: ssh.ssh_config,
    askHostKey: askHostKey(streams),
    ask: ask && askSecret && (({ text, isSecret }) => (isSecret ? askSecret(text) : ask(text))),
    passphraseFile: ssh.identity_passphrase_file,
    homeFolder: home,
  });
}

/** OpenSSH's question about an unknown host key; undefined without a terminal. */
export function askHostKey({ ask, err }: Streams): AskHostKey | undefined {
  if (ask === undefined) return undefined;
  return async ({ machine, host, key }) => {
    err(`The authenticity of machine "${machine}" (${host}) cannot be established.\nIts key is ${key}\n`);
    for (let attempt = 0; attempt < 5; attempt++) {
      const answer = (await ask('Are you sure you want to continue connecting (yes/no)? '))
        .trim()
        .toLowerCase();
      if (answer === 'yes') return true;
      if (answer === 'no') return false;
      err('Type "yes" or "no".\n');
    }
    throw new FleetError('ssh-host-key', `Cannot confirm the key of machine "${machine}": no answer`);
  };
}

type Reached = Pick<SshTargets, 'machines'> & Pick<SshConfig, 'askBecomePass'>;

/**
 * The access to every machine, by its name. The password of sudo is typed on the terminal, or is in
 * FLEETCTL_BECOME_PASSWORD, or is printed by a command, which is run when a machine first asks. Throws FleetError
 * `usage` if it must be typed and there is no terminal.
 */
export async function accessTo(reached: Reached, streams: Streams): Promise<ReadonlyMap<string, Access>> {
  const accessOf = await accessMaker(reached, streams);
  return new Map(reached.machines.map((target) => [target.machine.name, accessOf(target)]));
}

/**
 * The access to machines of the cluster, also to those that fleet.conf lacks or describes otherwise. Throws as
 * {@link accessTo}.
 */
export async function clusterAccess(
  config: Config,
  targets: readonly MachineTarget[],
  streams: Streams,
): Promise<(machine: Machine) => Access> {
  const accessOf = await accessMaker({ ...config, machines: targets }, streams);
  const known = new Map(targets.map((target) => [keyOf(target.machine), accessOf(target)]));
  let resolve: ReturnType<typeof resolverOf> | undefined;
  return (machine) => {
    const found = known.get(keyOf(machine));
    if (found !== undefined) return found;
    resolve ??= resolverOf(config, streams);
    const access = accessOf(resolve(reachedMachine(machine, config)).target);
    known.set(keyOf(machine), access);
    return access;
  };
}

function keyOf({ name, address }: Pick<Machine, 'name' | 'address'>): string {
  return `${name} ${address}`;
}

/** Makes the access to machines with their passwords, which are shared. */
async function accessMaker(
  { machines, askBecomePass }: Reached,
  streams: Streams,
): Promise<(target: MachineTarget) => Access> {
  const mayAsk = machines.some(({ become }) => become === 'sudo');
  const given = await givenPassword(askBecomePass && mayAsk, streams);
  const commands = new Map<string, BecomePassword>();
  const printedBy = (command: string | undefined): BecomePassword | undefined => {
    if (command === undefined) return undefined;
    const known = commands.get(command) ?? new BecomePassword(() => firstLine(command, streams));
    commands.set(command, known);
    return known;
  };
  // A machine that only the registry has may need it.
  const later = askBecomePass ? new BecomePassword(() => askPassword(streams.askSecret)) : undefined;
  return ({ settings, ssh, become }) => {
    const asked = become === 'sudo' ? later : undefined;
    const password = given ?? asked ?? printedBy(settings.become_password_command);
    return { ssh, become, password };
  };
}

async function givenPassword(
  asks: boolean,
  { askSecret, env }: Streams,
): Promise<BecomePassword | undefined> {
  const text = asks ? await askPassword(askSecret) : env.FLEETCTL_BECOME_PASSWORD || undefined;
  if (text === undefined) return undefined;
  if (/[\r\n\0]/.test(text))
    throw new FleetError('usage', 'Cannot use the password for sudo: it has more than one line');
  return new BecomePassword(async () => text);
}

async function askPassword(askSecret: Streams['askSecret']): Promise<string> {
  if (askSecret === undefined) {
    throw new FleetError('usage', 'Cannot ask for the password for sudo: there is no terminal', {
      hint: 'Put it into FLEETCTL_BECOME_PASSWORD, or name a command that prints it: become_password_command in [ssh]',
    });
  }
  const password = await askSecret('Password for sudo on the machines: ');
  if (password === '') throw new FleetError('interrupted', 'No password for sudo was given');
  return password;
}

/** The first line that a command of fleet.conf prints. The command may use the terminal. */
async function firstLine(command: string, { cwd }: Streams): Promise<string> {
  const child = spawn('/bin/sh', ['-c', command], { cwd, stdio: ['inherit', 'pipe', 'inherit'] });
  const status = new Promise<number | null>((resolve, reject) =>
    child.once('close', resolve).once('error', reject),
  );
  const [printed, how] = await Promise.all([text(child.stdout), status]);
  const [line = ''] = printed.split(/\r?\n/, 1);
  if (how === 0 && line !== '') return line;
  const what = how === 0 ? 'it printed no password' : `it ended with ${how ?? 'a signal'}`;
  throw new FleetError('config', `Cannot use become_password_command: ${what}`, {
    hint: `Run it by hand: ${command}`,
  });
}

/** The access to one machine, which may be unlisted. Throws as {@link accessTo}. */
export async function accessToOne(machine: MachineConfig, ssh: SshConfig, streams: Streams): Promise<Access> {
  const target = sshTarget(machine, ssh, streams);
  return (await accessMaker({ ...ssh, machines: [target] }, streams))(target);
}

/**
 * The access to a machine of the configuration by its name, or to USER@HOST[:PORT]; `by` is the origin of that text.
 * Throws FleetError `machine-not-found`.
 */
export async function reach(
  host: string,
  config: Config,
  streams: Streams,
  by: 'MACHINE' | 'registry',
): Promise<Access> {
  const listed = config.machines.find(({ machine }) => machine.name === host);
  const found = listed ?? (host.includes('@') ? unlistedMachine(host, config, by) : undefined);
  if (found !== undefined) return accessToOne(found, config, streams);
  throw new FleetError('machine-not-found', `No such machine: "${host}"`, {
    hint: 'Name a machine of fleet.conf, or USER@HOST for another host',
  });
}
