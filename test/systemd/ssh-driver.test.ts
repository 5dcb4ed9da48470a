import { EventEmitter } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import type { Become } from '../../src/ssh/become.ts';
import { type SshTarget, TARGET_DEFAULTS } from '../../src/ssh/target.ts';
import type { RemoteExit, RemoteProcess, Transport } from '../../src/ssh/transport.ts';
import type { MachineSession } from '../../src/systemd/driver.ts';
import { observeQuery } from '../../src/systemd/observation.ts';
import { verifyQuery } from '../../src/systemd/queries.ts';
import { createSshDriver } from '../../src/systemd/ssh-driver.ts';
import { createLocalMachine } from '../support/local-machine.ts';
import { CLEAN_SHELL, scriptIn } from '../support/local-shell.ts';
import { changes, unitText } from './changes.ts';

const MACHINE = { name: 'web-1', address: '127.0.0.1', metadata: {} };
const WEB = changes.launch('web.service', 'text', 1);
const LOST = new FleetError('ssh-lost', 'The connection to machine "web-1" is lost', { hint: 'Try again' });

/** A command on a machine that does only what a test tells it to. */
class FakeProcess implements RemoteProcess {
  /** What it was given, in the command and on standard input. */
  readonly scripts: string[] = [];
  ended = false;
  readonly exit: Promise<RemoteExit>;
  settle: (exit: RemoteExit) => void = () => undefined;
  lose: (error: Error) => void = () => undefined;
  readonly #stdout = new EventEmitter();
  readonly #stderr = new EventEmitter();

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
    const marker = /^M=(\w+)$/m.exec(this.scripts.join(''))?.[1] ?? '';
    for (const [name, status, stdout, stderr] of [...sections, ['end', 0, '', ''] as const]) {
      this.say(`${stderr}\n${marker}\n`);
      this.#stdout.emit(
        '',
        Buffer.from(`${marker} ${name} ${status} ${Buffer.byteLength(stdout)}\n${stdout}`),
      );
    }
  }

  say(text: string): void {
    this.#stderr.emit('', Buffer.from(text));
  }

  write(text: string): void {
    this.scripts.push(text);
  }

  end(): void {
    this.ended = true;
  }

  onStdout(listener: (chunk: Buffer) => void): void {
    this.#stdout.on('', listener);
  }

  onStderr(listener: (chunk: Buffer) => void): void {
    this.#stderr.on('', listener);
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
      process.scripts.push(scriptIn(command));
      return process;
    },
    fresh: () => transport,
    close: async () => {
      isClosed = true;
    },
  };
  const access = () => ({ ssh: target(user), become });
  const driver = createSshDriver(transport, { access, settleMs: 1500 });
  const session = driver.connect(MACHINE);
  return { session, process, commands, closed: () => isClosed };
}

const failureOf = async (outcome: ReturnType<MachineSession['change']>): Promise<unknown> =>
  (await outcome).map(({ failure }) => failure);

const LOOK = { names: ['web.service'], digests: true };

describe('the command for a machine', () => {
  it.each([
    ['root', 'sudo', `exec ${CLEAN_SHELL} `],
    ['root', 'none', `exec ${CLEAN_SHELL} `],
    ['core', 'sudo', `exec env LC_ALL=C sudo -n -- ${CLEAN_SHELL} `],
    ['core', 'none', `exec ${CLEAN_SHELL} `],
    ['core', 'doas', `exec env LC_ALL=C doas -n -- ${CLEAN_SHELL} `],
  ] as const)('for user %s, become %s, is one exec: %s', async (user, become, start) => {
    const { session, commands } = await open(user, become);
    expect(commands).toEqual([]);
    expect(session.become).toBe(/sudo|doas/.exec(start)?.[0]);
    void session.ask(observeQuery(LOOK)).catch(() => undefined);
    const word = String.raw`-c 'eval "\$\(printf %b "\$1"\)"' sh '[ "-&(-~]+'`;
    expect(commands).toEqual([
      expect.stringMatching(`^${start.replaceAll(/[$*?.]/g, String.raw`\$&`)}${word}$`),
    ]);
  });

  it('includes the first observation, and no code that changes machines', async () => {
    const { session, process } = await open();
    void session.ask(observeQuery(LOOK)).catch(() => undefined);
    await turn();
    expect(process.scripts).toEqual([expect.stringContaining('\nfind_units web.service\n')]);
    expect(process.scripts[0]).not.toContain('daemon-reload');
  });

  it('holds no text of a unit: those may be secret, and others can see commands', async () => {
    for (const ask of [
      (session: MachineSession) => session.change([WEB], 'c'),
      (session: MachineSession) =>
        session.ask(verifyQuery({ files: [{ name: 'a.service', text: 'text' }], units: [] })),
    ]) {
      const { session, process, commands } = await open();
      void ask(session).catch(() => undefined);
      await turn();
      expect(commands).toEqual([`exec ${CLEAN_SHELL} -s`]);
      expect(process.scripts.join('')).toMatch(/'text'/);
    }
  });

  it('is not too long for any SSH server, however many units are asked for', async () => {
    const { session, process, commands } = await open();
    const names = Array.from({ length: 500 }, (_, index) => `unit-${index}.service`);
    void session.ask(observeQuery({ names, digests: true })).catch(() => undefined);
    await turn();
    expect(commands).toEqual([`exec ${CLEAN_SHELL} -s`]);
    expect(process.scripts.join('')).toContain('unit-499.service');
  });

  it('ends with the session, and the connection with the driver', async () => {
    const { session, process } = await open();
    void session.ask(observeQuery(LOOK)).catch(() => undefined);
    session.close();
    await turn();
    expect(process.ended).toBe(true);
    await expect(session.ask(observeQuery(LOOK))).rejects.toThrow();
  });

  it('gets another marker every time', async () => {
    const scripts = await Promise.all(
      [1, 2].map(async () => {
        const { session, process } = await open();
        void session.ask(observeQuery(LOOK)).catch(() => undefined);
        return process.scripts.join('');
      }),
    );
    expect(scripts[0]).not.toBe(scripts[1]);
    expect(scripts[0]?.replace(/^M=.*/m, '')).toBe(scripts[1]?.replace(/^M=.*/m, ''));
  });
});

/** The answer of a machine without units to {@link LOOK}. */
function answerLook(process: FakeProcess): void {
  process.answer(
    ['facts', 0, 'machine-id 148a18ff6e954cd892dac9de9bb90d5a\nboot-id b0b0\nuptime 1.5', ''],
    ...['records', 'recorded', 'found', 'digests', 'links'].map((name) => [name, 0, '', ''] as const),
  );
}

describe('a query during another one', () => {
  it('is sent after the answer to that one', async () => {
    const { session, process } = await open();
    const looks = Promise.all([session.ask(observeQuery(LOOK)), session.ask(observeQuery(LOOK))]);
    await turn();
    expect(process.scripts).toHaveLength(1);
    answerLook(process);
    await expect.poll(() => process.scripts.length).toBe(2);
    answerLook(process);
    expect((await looks).map(({ id }) => id)).toEqual(Array(2).fill('148a18ff6e954cd892dac9de9bb90d5a'));
  });

  it('fails with that one', async () => {
    const { session, process } = await open();
    const looks = [session.ask(observeQuery(LOOK)), session.ask(observeQuery(LOOK))];
    await turn();
    process.lose(LOST);
    expect(await Promise.allSettled(looks)).toEqual(Array(2).fill({ status: 'rejected', reason: LOST }));
    expect(process.scripts).toHaveLength(1);
  });

  it('fails when the session is closed', async () => {
    const { session, process } = await open();
    const looks = Promise.allSettled([session.ask(observeQuery(LOOK)), session.ask(observeQuery(LOOK))]);
    await turn();
    session.close();
    expect(await looks).toMatchObject(Array(2).fill({ reason: { code: 'ssh-lost' } }));
    expect(process.scripts).toHaveLength(1);
  });
});

describe('a machine that is lost', () => {
  it('while it is looked at fails the look with the reason of the transport', async () => {
    const { session, process } = await open();
    const look = session.ask(observeQuery({ names: [], digests: true }));
    await turn();
    process.lose(LOST);
    await expect(look).rejects.toBe(LOST);
  });

  it('while it is changed is an outcome of every change', async () => {
    const { session, process } = await open();
    const outcomes = session.change([WEB, changes.remove('b.service', 1)], 'c');
    await turn();
    process.lose(LOST);
    const failure = { code: 'unreachable', message: LOST.message, hint: LOST.hint, mayBeDown: true };
    expect(await failureOf(outcomes)).toEqual([failure, failure]);
  });

  it('after it was looked at is an outcome too', async () => {
    const { session, process } = await open();
    const look = session.ask(observeQuery(LOOK));
    await turn();
    answerLook(process);
    await look;
    process.lose(LOST);
    await process.exit.catch(() => undefined);
    expect(await failureOf(session.change([WEB], 'c'))).toMatchObject([{ code: 'unreachable' }]);
  });

  it('while journals are read leaves what is known', async () => {
    const { session, process } = await open();
    const outcomes = session.change([WEB, changes.load('b.service', 'text', 1)], 'c');
    const dead = 'Id=web.service\nLoadState=loaded\nActiveState=failed\nSubState=failed\n';
    await turn();
    const loaded = 'Id=b.service\nLoadState=loaded\nActiveState=inactive\nSubState=dead\n';
    process.answer(['started', 0, dead, ''], ['units', 0, `${dead}\n${loaded}`, '']);
    await expect.poll(() => process.scripts.some((script) => script.includes('journals() {'))).toBe(true);
    process.lose(LOST);
    expect(await failureOf(outcomes)).toMatchObject([{ code: 'not-up', journal: [] }, undefined]);
  });

  it.each([
    ['without a word', '', { status: 1 }, 'Cannot use machine "web-1": its shell ended early: 1'],
    ['by a signal', '', { signal: 'SIGTERM' }, 'Cannot use machine "web-1": its shell ended early: SIGTERM'],
    ['with a word', 'sudo: no\n', { status: 1 }, 'Cannot use machine "web-1": "sudo: no"'],
  ])('because its shell ended %s says so', async (_, words, exit, message) => {
    const { session, process } = await open();
    const look = session.ask(observeQuery({ names: [], digests: true }));
    await turn();
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
    const look = session.ask(observeQuery({ names: [], digests: true }));
    const failed = expect(look).rejects.toMatchObject({
      code: 'ssh-timeout',
      message: 'Machine "web-1" is connected but gave no answer in 30s',
    });
    await vi.advanceTimersByTimeAsync(29_999);
    await Promise.all([failed, vi.advanceTimersByTimeAsync(1)]);
  });

  it('is reported with its output, as for a ForceCommand that is not a shell', async () => {
    const { session, process } = await open();
    const look = session.ask(observeQuery({ names: [], digests: true }));
    await turn();
    process.say('Backups only.\nBye.\n');
    const failed = expect(look).rejects.toMatchObject({
      message: 'Machine "web-1" is connected but gave no answer in 30s; it said: "Backups only."',
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
    const look = session.ask(observeQuery({ names: [], digests: true }));
    await turn();
    process.answer(
      ['facts', 0, 'machine-id 148a18ff6e954cd892dac9de9bb90d5a\nboot-id b0b0\nuptime 1.5', ''],
      ...['records', 'recorded', 'digests', 'links'].map((name) => [name, 0, '', ''] as const),
    );
    expect((await look).units).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a unit that was started', () => {
  it('is watched for the settle window when it runs, and not when it has no processes', async () => {
    const { session, process } = await open();
    void session.change([WEB], 'c');
    await turn();
    expect(process.scripts.at(-1)).toContain(
      `case "$out" in *SubState=running* | *' running|'*) sleep 1.5 ||`,
    );
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
