import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import type { Become } from '../../src/ssh/become.ts';
import { type SshTarget, TARGET_DEFAULTS } from '../../src/ssh/target.ts';
import type { RemoteExit, RemoteProcess, Transport } from '../../src/ssh/transport.ts';
import type { MachineSession } from '../../src/systemd/driver.ts';
import { createSshDriver } from '../../src/systemd/ssh-driver.ts';
import { createLocalMachine } from '../support/local-machine.ts';
import { changes, unitText } from './changes.ts';

const MACHINE = { name: 'web-1', address: '127.0.0.1', metadata: {} };
const WEB = changes.launch('web.service', 'text', 1);
const LOST = new FleetError('ssh-lost', 'The connection to machine "web-1" is lost', { hint: 'Try again' });

/** A command on a machine that does only what a test tells it to. */
class FakeProcess implements RemoteProcess {
  readonly written: string[] = [];
  ended = false;
  readonly exit: Promise<RemoteExit>;
  settle: (exit: RemoteExit) => void = () => undefined;
  lose: (error: Error) => void = () => undefined;
  #stdout: (chunk: Buffer) => void = () => undefined;
  #stderr: (chunk: Buffer) => void = () => undefined;

  constructor() {
    this.exit = new Promise((resolve, reject) => {
      this.settle = resolve;
      this.lose = reject;
    });
  }

  /** Answers with sections; the marker is the one the script was given. */
  answer(
    ...sections: readonly (readonly [name: string, status: number, stdout: string, stderr: string])[]
  ): void {
    const marker = /^M=(\w+)$/m.exec(this.written.join(''))?.[1] ?? '';
    for (const [name, status, stdout, stderr] of [...sections, ['end', 0, '', ''] as const]) {
      this.#stderr(Buffer.from(`${stderr}\n${marker}\n`));
      this.#stdout(Buffer.from(`${marker} ${name} ${status} ${Buffer.byteLength(stdout)}\n${stdout}`));
    }
  }

  say(text: string): void {
    this.#stderr(Buffer.from(text));
  }

  write(text: string): void {
    this.written.push(text);
  }

  end(): void {
    this.ended = true;
  }

  onStdout(listener: (chunk: Buffer) => void): void {
    this.#stdout = listener;
  }

  onStderr(listener: (chunk: Buffer) => void): void {
    this.#stderr = listener;
  }

  close(): void {
    this.ended = true;
  }
}

function target(user: string): SshTarget {
  return {
    ...TARGET_DEFAULTS,
    name: 'web-1',
    host: '127.0.0.1',
    user,
    connectTimeoutMs: 1000,
    keepaliveTimeoutMs: 1000,
  };
}

async function open(
  user = 'root',
  become: Become = 'sudo',
): Promise<{
  session: MachineSession;
  process: FakeProcess;
  commands: readonly string[];
  closed: () => boolean;
}> {
  const process = new FakeProcess();
  const commands: string[] = [];
  let isClosed = false;
  const transport: Transport = {
    exec: async (_, command) => {
      commands.push(command);
      return process;
    },
    close: async () => {
      isClosed = true;
    },
  };
  const access = new Map([['web-1', { ssh: target(user), become }]]);
  const driver = createSshDriver(transport, { access, settleMs: 1500 });
  const session = await driver.connect(MACHINE);
  return { session, process, commands, closed: () => isClosed };
}

const failureOf = async (outcome: ReturnType<MachineSession['change']>): Promise<unknown> =>
  (await outcome).map(({ failure }) => failure);

describe('the command for a machine', () => {
  it.each([
    ['root', 'sudo', 'exec env LC_ALL=C /bin/sh -s'],
    ['root', 'none', 'exec env LC_ALL=C /bin/sh -s'],
    ['core', 'sudo', 'exec env LC_ALL=C sudo -n -- env LC_ALL=C /bin/sh -s'],
    ['core', 'none', 'exec env LC_ALL=C /bin/sh -s'],
    ['core', 'doas', 'exec env LC_ALL=C doas -n -- env LC_ALL=C /bin/sh -s'],
  ] as const)('for user %s, become %s, is one exec: %s', async (user, become, command) => {
    expect((await open(user, become)).commands).toEqual([command]);
  });

  it('is not sent to a machine that fleet.conf does not have', async () => {
    const transport = { exec: () => Promise.reject(new Error('exec')), close: async () => undefined };
    const driver = createSshDriver(transport, { access: new Map(), settleMs: 0 });
    await expect(driver.connect(MACHINE)).rejects.toMatchObject({ code: 'machine-not-found' });
  });

  it('ends with the session, and the connection with the driver', async () => {
    const { session, process } = await open();
    session.close();
    expect(process.ended).toBe(true);
  });

  it('gets another marker every time', async () => {
    const first = await open();
    const second = await open();
    expect(first.process.written[0]).not.toBe(second.process.written[0]);
    expect(first.process.written[0]?.replace(/^M=.*/m, '')).toBe(
      second.process.written[0]?.replace(/^M=.*/m, ''),
    );
  });
});

describe('a machine that is lost', () => {
  it('while it is looked at fails the look with the reason of the transport', async () => {
    const { session, process } = await open();
    const look = session.observe({ names: [], digests: true });
    process.lose(LOST);
    await expect(look).rejects.toBe(LOST);
  });

  it('while it is changed is an outcome of every change', async () => {
    const { session, process } = await open();
    const outcomes = session.change([WEB, changes.remove('b.service', 1)], 'c');
    process.lose(LOST);
    const failure = { code: 'unreachable', message: LOST.message, hint: LOST.hint };
    expect(await failureOf(outcomes)).toEqual([failure, failure]);
  });

  it('after it was looked at is an outcome too', async () => {
    const { session, process } = await open();
    process.lose(LOST);
    await process.exit.catch(() => undefined);
    expect(await failureOf(session.change([WEB], 'c'))).toMatchObject([{ code: 'unreachable' }]);
  });

  it('while journals are read leaves what is known', async () => {
    const { session, process } = await open();
    const outcomes = session.change([WEB, changes.load('b.service', 'text', 1)], 'c');
    const dead = 'Id=web.service\nLoadState=loaded\nActiveState=failed\n';
    process.answer(['started', 0, dead, ''], ['units', 0, dead, '']);
    await vi.waitUntil(() => process.written.some((script) => script.startsWith('journals() {')));
    process.lose(LOST);
    expect(await failureOf(outcomes)).toMatchObject([{ code: 'not-up', journal: [] }, undefined]);
  });

  it.each([
    ['without a word', '', { status: 1 }, 'Cannot use machine "web-1": its shell ended early: 1'],
    ['by a signal', '', { signal: 'SIGTERM' }, 'Cannot use machine "web-1": its shell ended early: SIGTERM'],
    ['with a word', 'sudo: no\n', { status: 1 }, 'Cannot use machine "web-1": sudo: no'],
  ])('because its shell ended %s says so', async (_, words, exit, message) => {
    const { session, process } = await open();
    const look = session.observe({ names: [], digests: true });
    process.say(words);
    process.settle(exit);
    await expect(look).rejects.toMatchObject({ code: 'remote-script', message });
  });
});

describe('a machine that is connected and says nothing', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
  afterEach(() => void vi.useRealTimers());

  it('fails a look after 30 s', async () => {
    const { session } = await open();
    const look = session.observe({ names: [], digests: true });
    const failed = expect(look).rejects.toMatchObject({
      code: 'ssh-timeout',
      message: 'Machine "web-1" is connected but gave no answer in 30s',
    });
    await vi.advanceTimersByTimeAsync(29_999);
    await Promise.all([failed, vi.advanceTimersByTimeAsync(1)]);
  });

  it('is told with what it did say, as a ForceCommand does that is no shell', async () => {
    const { session, process } = await open();
    const look = session.observe({ names: [], digests: true });
    process.say('Backups only.\nBye.\n');
    const failed = expect(look).rejects.toMatchObject({
      message: 'Machine "web-1" is connected but gave no answer in 30s; it said: Backups only.',
      hint: expect.stringContaining('ForceCommand'),
    });
    await Promise.all([failed, vi.advanceTimersByTimeAsync(30_000)]);
  });

  it('is given the time that two locks, a stop and a start may take for a change', async () => {
    const { session } = await open();
    const outcomes = session.change([WEB], 'c');
    await vi.advanceTimersByTimeAsync(329_999);
    const [failures] = await Promise.all([failureOf(outcomes), vi.advanceTimersByTimeAsync(1)]);
    expect(failures).toMatchObject([{ code: 'unreachable' }]);
  });

  it('does not count the time before it was asked', async () => {
    const { session, process } = await open();
    await vi.advanceTimersByTimeAsync(60_000);
    const look = session.observe({ names: [], digests: true });
    process.answer(['facts', 0, 'machine-id 148a18ff6e954cd892dac9de9bb90d5a', '']);
    expect((await look).units).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a unit that was started', () => {
  it('is watched for the settle window when it runs, and not when nothing of it runs', async () => {
    const { session, process } = await open();
    void session.change([WEB], 'c');
    expect(process.written.at(-1)).toContain('case "$out" in *SubState=running*) sleep 1.5 ||');
  });

  it('has the journals of at most twenty units shown', async () => {
    const machine = await createLocalMachine();
    const names = Array.from({ length: 22 }, (_, index) => `bad@${index}.service`);
    for (const name of names) machine.tell(`journal/${name}`, `I am ${name}\n`);
    const failing = unitText('bad', 'ExecStart=/bin/false');
    const outcomes = await machine.change(names.map((name) => changes.launch(name, failing, 1)));
    const journals = outcomes.map(({ failure }) =>
      failure?.code === 'not-up' ? failure.journal : undefined,
    );
    expect(journals.slice(0, 20)).toEqual(names.slice(0, 20).map((name) => [`I am ${name}`]));
    expect(journals.slice(20)).toEqual([[], []]);
  });
});
