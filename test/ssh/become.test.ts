import { expect, it } from 'vitest';
import { BecomePassword, shellEnded } from '../../src/ssh/become.ts';
import { TARGET_DEFAULTS } from '../../src/ssh/target.ts';

const machine = { ...TARGET_DEFAULTS, name: 'm1', host: '127.0.0.1' };

it.each([
  ['root', 'sudo', false, 'root logs in there, but gets no shell: look at ForceCommand in sshd_config'],
  ['core', 'none', false, 'The user needs root rights: log in as root'],
  ['core', 'sudo', false, 'The user needs root rights: log in as root'],
  ['core', 'sudo', true, 'It ended during a request: .*, for example by a command_timeout in sudoers$'],
  ['root', 'sudo', true, 'It ended during a request: .* the shell was killed$'],
] as const)('a shell of %s with %s that ended, after an answer: %s', (user, become, hasAnswered, hint) => {
  const error = shellEnded({ ssh: { ...machine, user }, become }, '', 124, hasAnswered);
  expect(error.message).toBe('Cannot use machine "m1": its shell ended early: 124');
  expect(error.hint).toMatch(new RegExp(hint));
});

/** A cluster whose machines take this password, each after its time in ms; it keeps who was sent what. */
function machinesThatTake(right: string, typed: string) {
  const sent: string[] = [];
  let reads = 0;
  const password = new BecomePassword(async () => {
    reads++;
    return typed;
  });
  const offer = (machine: string, ms = 1) =>
    password.offer(machine, async (text) => {
      sent.push(machine);
      await new Promise((resolve) => setTimeout(resolve, ms));
      return text === right;
    });
  return { offer, password, sent, reads: () => reads };
}

const NAMES = Array.from({ length: 300 }, (_, index) => `m${index}`);

it('a wrong password is sent to one of 300 machines that ask at once, and to none that asks later', async () => {
  const { offer, sent } = machinesThatTake('right', 'wrong');
  const verdicts = await Promise.all(NAMES.map((name) => offer(name)));
  expect(sent).toEqual(['m0']);
  expect(new Set(verdicts.map((verdict) => JSON.stringify(verdict)))).toEqual(
    new Set(['{"kind":"refused","by":"m0"}']),
  );
  expect(await offer('m7')).toEqual({ kind: 'refused', by: 'm0' });
  expect(await offer('m0')).toEqual({ kind: 'refused', by: 'm0' });
  expect(sent).toEqual(['m0']);
});

it('a right password is tried on one machine, and then sent to all at once', async () => {
  const { offer, sent, reads } = machinesThatTake('right', 'right');
  const first = offer('m0', 30);
  const others = NAMES.slice(1).map((name) => offer(name));
  await Promise.resolve();
  expect(sent.length).toBeLessThanOrEqual(1);
  expect(await first).toEqual({ kind: 'accepted' });
  expect(new Set((await Promise.all(others)).map(({ kind }) => kind))).toEqual(new Set(['accepted']));
  expect([sent.length, reads()]).toEqual([300, 1]);
});

it('after a refusal only machines that took it before get it', async () => {
  const sent: string[] = [];
  const password = new BecomePassword(async () => 'x');
  const offer = (machine: string, isRight: boolean) =>
    password.offer(machine, async () => {
      sent.push(machine);
      return isRight;
    });
  await offer('a', true);
  expect(await offer('b', false)).toEqual({ kind: 'refused', by: 'b' });
  expect(await offer('c', true)).toEqual({ kind: 'refused', by: 'b' });
  expect(await offer('a', true)).toEqual({ kind: 'accepted' });
  expect(sent).toEqual(['a', 'b', 'a']);
});

it('a machine that is lost on the way says nothing about the password: the next one is tried', async () => {
  const password = new BecomePassword(async () => 'x');
  const lost = password.offer('a', () => Promise.reject(new Error('lost')));
  const next = password.offer('b', async () => true);
  await expect(lost).rejects.toThrow('lost');
  expect(await next).toEqual({ kind: 'accepted' });
});

it('a password that cannot be read is not sent', async () => {
  const password = new BecomePassword(() => Promise.reject(new Error('no such command')));
  const sent: string[] = [];
  const offers = ['a', 'b'].map((name) => password.offer(name, async () => sent.push(name) > 0));
  expect((await Promise.allSettled(offers)).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(sent).toEqual([]);
});
