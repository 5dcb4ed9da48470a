import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { makeDesk, REFUSING } from './desk.ts';

it('lists its commands if none is given', async () => {
  expect(await (await makeDesk(REFUSING)).run(['controller'])).toEqual({
    status: 2,
    out: '',
    err: "Error: missing command of 'controller'. Commands are install, remove.\nhint: fleetctl help controller\n",
  });
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
  expect(await readFile(join(desk.cwd, 'fleet.conf'), 'utf8')).toBe(REFUSING);
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
