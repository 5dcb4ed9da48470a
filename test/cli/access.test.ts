import { describe, expect, it } from 'vitest';
import { isFleetError } from '../../src/base/errors.ts';
import { accessTo, askHostKey } from '../../src/cli/access.ts';
import type { MachineTarget } from '../../src/cli/ssh-targets.ts';
import type { Streams } from '../../src/cli/streams.ts';
import { render } from '../../src/cli/terminal.ts';
import { targetOf } from '../ssh/support.ts';
import { streamsWith } from './desk.ts';

function machine(name: string, become: MachineTarget['become'], command?: string): MachineTarget {
  const ssh = targetOf({ host: 'h', port: 22 }, undefined, { name });
  const settings = command === undefined ? {} : { become_password_command: command };
  const machine = { name, address: 'h', metadata: {} };
  const rest = { isLocal: false, voter: undefined, written: undefined };
  return { machine, host: 'h', settings, ...rest, ssh, become };
}

const streams = (env: Record<string, string>, askSecret?: Streams['askSecret']): Streams =>
  streamsWith({ env, askSecret });

/** The passwords that machines would get, by their names. */
async function passwords(
  machines: readonly MachineTarget[],
  from: Streams,
  askBecomePass = false,
): Promise<Record<string, string | undefined>> {
  const access = await accessTo({ machines, askBecomePass }, from);
  const found = [...access].map(async ([name, { password }]) => {
    let sent: string | undefined;
    await password?.offer(name, async (text) => {
      sent = text;
      return true;
    });
    return [name, sent] as const;
  });
  return Object.fromEntries(await Promise.all(found));
}

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'none',
    (error: unknown) => (isFleetError(error) ? `${error.code}: ${error.message}` : String(error)),
  );

describe('the password of sudo', () => {
  const two = [machine('a', 'sudo', 'echo printed; echo more'), machine('b', 'sudo')];

  it('is the one that is typed, before the variable, before the command', async () => {
    const env = { FLEETCTL_BECOME_PASSWORD: 'variable' };
    expect(
      await passwords(
        two,
        streams(env, async () => 'typed'),
        true,
      ),
    ).toEqual({ a: 'typed', b: 'typed' });
    expect(await passwords(two, streams(env))).toEqual({ a: 'variable', b: 'variable' });
    expect(await passwords(two, streams({}))).toEqual({ a: 'printed', b: undefined });
  });

  it('is not asked for where no machine uses sudo', async () => {
    const ask = (): Promise<string> => Promise.reject(new Error('asked'));
    expect(await passwords([machine('a', 'none')], streams({}, ask), true)).toEqual({ a: undefined });
  });

  it.each([
    [streams({}), 'usage: Cannot ask for the password for sudo: there is no terminal'],
    [streams({}, async () => ''), 'interrupted: No password for sudo was given'],
    [streams({}, async () => 'a\nb'), 'usage: Cannot use the password for sudo: it has more than one line'],
  ])('is refused when it cannot be one', async (from, message) => {
    expect(await codeOf(passwords(two, from, true))).toBe(message);
  });

  it.each([
    ['true', 'it printed no password'],
    ['echo secret; exit 3', 'it ended with 3'],
  ])('of the command %j is refused, and not told', async (command, why) => {
    const message = await codeOf(passwords([machine('a', 'sudo', command)], streams({})));
    expect(message).toBe(`config: Cannot use become_password_command: ${why}`);
  });
});

const KEY = { machine: 'm1', host: '127.0.0.1', port: 22, key: 'ssh-ed25519 SHA256:abc' };

/** Asks a user who types these answers, and then empty lines. */
async function ask(...answers: readonly string[]) {
  const left = [...answers];
  const printed: string[] = [];
  const question = askHostKey(
    streamsWith({
      err: (text) => void printed.push(render(text)),
      ask: async () => left.shift() ?? '',
    }),
  );
  const answer = await question?.(KEY).catch((error: unknown) => error);
  return { answer, printed };
}

describe('the question about a host key', () => {
  it.each([
    ['yes', true],
    ['no', false],
    [' YES ', true],
    ['No', false],
  ])('%j is %j', async (answer, expected) => {
    expect((await ask(answer)).answer).toBe(expected);
  });

  it('is shown with the machine and the key', async () => {
    expect((await ask('no')).printed).toEqual([
      'The authenticity of machine "m1" (127.0.0.1) cannot be established.\nIts key is ssh-ed25519 SHA256:abc\n',
    ]);
  });

  it('takes nothing but yes and no', async () => {
    const { answer, printed } = await ask('y', '', 'ja', 'yes');
    expect([answer, printed.slice(1)]).toEqual([true, Array(3).fill('Type "yes" or "no".\n')]);
  });

  it('is not asked for ever', async () => {
    expect((await ask()).answer).toMatchObject({ code: 'ssh-host-key' });
  });

  it('is not asked without a terminal', () => {
    expect(askHostKey(streamsWith())).toBeUndefined();
  });
});
