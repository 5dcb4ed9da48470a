import { hostname, userInfo } from 'node:os';
import { describe, expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import { authorOf, unopenedRegistry } from '../../src/cli/registry.ts';
import { RegistryView } from '../../src/registry/view.ts';
import { type Desk, makeDesk, REFUSING } from './desk.ts';

const HELLO = '[Service]\nExecStart=/bin/sleep infinity\n';

/** A desk whose registry has hello.service. */
async function deskWithHello(): Promise<Desk> {
  const desk = await makeDesk(REFUSING);
  await desk.write('hello.service', HELLO);
  await desk.run(['submit', 'hello']);
  return desk;
}

describe('registry copy', () => {
  it('says what it did and what is left to do, and the copy is a registry', async () => {
    const desk = await deskWithHello();
    const { status, out, err } = await desk.run(['registry', 'copy', 'file:registry', 'file:copy']);
    const place = 'file:copy';
    expect(status).toBe(0);
    expect(out).toMatch(new RegExp(`^Copied cluster [0-9a-f-]{36} to ${place}: units 1, records 7\n$`));
    expect(err).toBe(
      `hint: A backup needs nothing else. To move the cluster there, write "registry = ${place}" into every fleet.conf of this cluster, and move the old registry away\n`,
    );
    await desk.write('fleet.conf', `registry = file:copy\n${REFUSING}`);
    expect(await desk.run(['cat', 'hello'])).toEqual({ status: 0, out: HELLO, err: '' });
  });

  it('leaves nothing to do after a restore', async () => {
    const desk = await deskWithHello();
    await desk.run(['registry', 'copy', 'file:registry', 'file:backup']);
    await desk.write('fleet.conf', `registry = file:restored\n${REFUSING}`);
    const { status, err } = await desk.run(['registry', 'copy', 'file:backup', 'file:restored']);
    expect([status, err]).toEqual([0, '']);
    expect(await desk.run(['cat', 'hello'])).toEqual({ status: 0, out: HELLO, err: '' });
  });

  it.each([
    [
      'another verb',
      ['move', 'file:a', 'file:b'],
      2,
      "unknown command 'move' of 'registry'. Commands: copy.",
    ],
    ['no place', ['copy', 'registry', 'file:b'], 2, 'Cannot use "registry" as the address of a registry'],
    ['a place with nothing', ['copy', 'file:none', 'file:b'], 1, 'it is empty'],
    ['the place itself', ['copy', 'file:registry', 'file:registry'], 1, 'the destination is not empty'],
    [
      'an etcd that is not there',
      ['copy', 'etcd://127.0.0.1:1/x', 'file:b'],
      1,
      'Cannot reach the etcd registry',
    ],
  ])('refuses %s', async (_, words, expected, message) => {
    const desk = await deskWithHello();
    const { status, out, err } = await desk.run(['registry', ...words]);
    expect([status, out]).toEqual([expected, '']);
    expect(err).toContain(message);
  });
});

const IS_ROOT = process.geteuid?.() === 0;

describe('the author of a change', () => {
  it('is the user of the process', () => {
    expect(authorOf({})).toBe(`${userInfo().username}@${hostname()}`);
  });

  it.runIf(IS_ROOT).each([
    ['sudo', { SUDO_USER: 'ada' }, 'ada'],
    ['doas', { DOAS_USER: 'ada' }, 'ada'],
    ['sudo of root', { SUDO_USER: 'root' }, 'root'],
    ['an empty variable', { SUDO_USER: '' }, 'root'],
  ])('is the person behind root: %s', (_, env, person) => {
    expect(authorOf(env)).toBe(`${person}@${hostname()}`);
  });

  it.runIf(IS_ROOT)('is not taken from the environment of another user', () => {
    process.seteuid?.(65_534);
    try {
      expect(authorOf({ SUDO_USER: 'ada' })).not.toContain('ada');
    } finally {
      process.seteuid?.(0);
    }
  });
});

describe('a registry that could not be opened', () => {
  it('rejects reads with the error, and a wait for a change ends', async () => {
    const error = new FleetError('registry-unavailable', 'none');
    const { registry } = unopenedRegistry(error);
    await expect(registry.load()).rejects.toBe(error);
    const { signal } = new AbortController();
    expect(await registry.waitForChange(new RegistryView(0, []), signal)).toBe(false);
  });
});
