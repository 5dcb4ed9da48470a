import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { FleetError } from '../base/errors.ts';
import type { SshConfig } from '../config/config.ts';
import type { Access } from '../ssh/become.ts';
import { BecomePassword } from '../ssh/become-password.ts';
import type { SshTargets } from './ssh-targets.ts';
import type { Streams } from './streams.ts';

/**
 * The way to every machine, by its name. The password of sudo is what the person types, else that of
 * FLEETCTL_BECOME_PASSWORD, else what a command prints, which is run when a machine first asks. Throws `usage`
 * when there is nobody to type it.
 */
export async function accessTo(
  { machines, askBecomePass }: Pick<SshTargets, 'machines'> & Pick<SshConfig, 'askBecomePass'>,
  streams: Streams,
): Promise<ReadonlyMap<string, Access>> {
  const mayAsk = machines.some(({ become }) => become === 'sudo');
  const given = await givenPassword(askBecomePass && mayAsk, streams);
  const commands = new Map<string, BecomePassword>();
  const printedBy = (command: string | undefined): BecomePassword | undefined => {
    if (command === undefined) return undefined;
    const known = commands.get(command) ?? new BecomePassword(() => firstLine(command, streams));
    commands.set(command, known);
    return known;
  };
  return new Map(
    machines.map(({ machine, settings, ssh, become }) => {
      const password = given ?? printedBy(settings.become_password_command);
      return [machine.name, { ssh, become, password }];
    }),
  );
}

async function givenPassword(
  asks: boolean,
  { askSecret, env }: Streams,
): Promise<BecomePassword | undefined> {
  const text = asks ? await ask(askSecret) : env.FLEETCTL_BECOME_PASSWORD || undefined;
  if (text === undefined) return undefined;
  if (/[\r\n\0]/.test(text))
    throw new FleetError('usage', 'Cannot use the password for sudo: it has more than one line');
  return new BecomePassword(async () => text);
}

async function ask(askSecret: Streams['askSecret']): Promise<string> {
  if (askSecret === undefined) {
    throw new FleetError('usage', 'Cannot ask for the password for sudo: there is no terminal', {
      hint: 'Put it into FLEETCTL_BECOME_PASSWORD, or name a command that prints it: become_password_command in [ssh]',
    });
  }
  const password = await askSecret('Password for sudo on the machines: ');
  if (password === '') throw new FleetError('interrupted', 'No password for sudo was given');
  return password;
}

/** What a command of fleet.conf prints on its first line; it may talk to the person on the terminal. */
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
