import { expect, it } from 'vitest';
import { hasOneVoter } from '../../src/cli/install/wanted.ts';
import { sandbox } from '../config/sandbox.ts';
import { makeDesk, REFUSING } from './desk.ts';

const box = sandbox();

it('lists its commands if none is given', async () => {
  expect(await (await makeDesk(REFUSING)).run(['controller'])).toEqual({
    status: 2,
    out: '',
    err: "Error: missing command of 'controller'. Commands: install, remove.\nhint: fleetctl help controller\n",
  });
});

it('needs three machines that may store a registry on the machines', async () => {
  const machine = (n: number, mark = ''): string => `[machine.m${n}]\naddress = 10.0.0.${n}\n${mark}`;
  const isAlone = async (...lines: readonly string[]): Promise<boolean> =>
    hasOneVoter(await box.loadText(['registry = machines', ...lines].join('\n')));
  expect(await isAlone(machine(1), machine(2))).toBe(true);
  expect(await isAlone(machine(1), machine(2), machine(3, 'voter = no'))).toBe(true);
  expect(await isAlone(machine(1), machine(2), machine(3))).toBe(false);
  expect(hasOneVoter(await box.loadText(machine(1)))).toBe(false);
});

it.each(['install', 'remove'])('cannot %s on a host that is not known, or does not answer', async (verb) => {
  const desk = await makeDesk(REFUSING);
  expect(await desk.run(['controller', verb, 'nope'])).toEqual({
    status: 4,
    out: '',
    err: 'Error: No such machine: "nope"\nhint: Name a machine of fleet.conf, or USER@HOST for another host\n',
  });
  expect(await desk.run(['controller', verb, 'm1'])).toMatchObject({
    status: 5,
    out: '',
    err: expect.stringContaining('Cannot reach machine "m1" (127.0.0.1:1)'),
  });
  expect(await desk.read('fleet.conf')).toBe(REFUSING);
});

it('is not taken for a registry where it does not answer', async () => {
  const desk = await makeDesk(`registry = ssh://m1/var/lib/fleet-controller/registry\n${REFUSING}`);
  for (const words of [
    ['list-units'],
    ['history', 'a.service'],
    ['submit', 'a.service'],
    ['registry', 'copy', 'ssh://m1/r', 'file:copy'],
  ])
    expect(await desk.run(words)).toMatchObject({
      status: 5,
      out: '',
      err: expect.stringContaining('Cannot reach machine "m1" (127.0.0.1:1)'),
    });
});
