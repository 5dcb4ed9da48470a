import { beforeEach, describe, expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import {
  type JournalQuestion,
  type JournalReader,
  type JournalResult,
  readJournals,
} from '../../src/operations/journal.ts';
import { idOf } from '../support/builders.ts';
import type { FakeJournal } from '../support/fake-journal.ts';
import { GLOBAL, makeScene, type Scene, SLEEP } from './scene.ts';

let scene: Scene;
/** Everything that the reader received, in order. */
let told: string[];

beforeEach(async () => {
  told = [];
  scene = await makeScene();
  await scene.write('all.service', GLOBAL);
  await scene.write('one.service', `${SLEEP}[X-Fleet]\nMachineID=${idOf('m1')}\n`);
  await scene.start('all', 'one');
  journal('m1').say('all.service', 100, 'a');
  journal('m2').say('all.service', 90, 'b');
  journal('m1').say('one.service', 95, 'c');
  journal('m2').say('all.service', 110, 'd');
});

function journal(machine: string): FakeJournal {
  return scene.machines.of(machine).journal;
}

const READER: JournalReader = {
  text: (text) => void told.push(text),
  entries: (entries, merged) => {
    for (const { machine, unit, fields } of entries)
      told.push(merged ? `${machine.name} ${unit} ${fields.MESSAGE}` : `${fields.MESSAGE}`);
  },
  lost: ({ name }) => void told.push(`lost ${name}`),
  back: ({ name }) => void told.push(`back ${name}`),
  missing: ({ unreachable }) =>
    void told.push(...unreachable.map(({ machine }) => `missing ${machine.name}`)),
};

function read(
  units: readonly string[],
  more: Partial<JournalQuestion> = {},
  signal = new AbortController().signal,
): Promise<JournalResult> {
  const question: JournalQuestion = {
    verb: 'journal',
    units,
    machine: undefined,
    lines: 10,
    output: 'short',
    canFormat: true,
    since: undefined,
    until: undefined,
    follow: false,
    sudo: false,
    ...more,
  };
  return readJournals(scene.ports, question, READER, signal);
}

describe('journals', () => {
  it('of one unit on one machine come as journalctl prints them', async () => {
    await read(['one'], { output: 'export', canFormat: false });
    expect(told).toEqual(['c\n']);
    expect(journal('m1').requests).toMatchObject([{ units: ['one.service'], output: 'export', lines: 10 }]);
  });

  it.each([
    ['by time', {}, ['m2 all.service b', 'm1 one.service c', 'm1 all.service a', 'm2 all.service d']],
    ['the last ones of all together', { lines: 2 }, ['m1 all.service a', 'm2 all.service d']],
    ['none, when none are asked for', { lines: 0 }, []],
    ['of one machine', { machine: 'm1' }, ['m1 one.service c', 'm1 all.service a']],
    ['what is not older', { since: '@96', lines: undefined }, ['m1 all.service a', 'm2 all.service d']],
    ['the last of what is not older', { since: '@96', lines: 1 }, ['m2 all.service d']],
  ])('of several are merged %s', async (_, more, lines) => {
    await read(['all', 'one'], more);
    expect(told).toEqual(lines);
  });

  it('are cut here where journalctl would give the first lines', async () => {
    await read(['all'], { machine: 'm2', since: '@1', lines: 1 });
    expect(told).toEqual(['d']);
    expect(journal('m2').requests).toMatchObject([{ output: 'json', lines: undefined, since: '@1' }]);
  });

  it('are refused in a format that cannot be merged', async () => {
    const refused = read(['all'], { output: 'export', canFormat: false });
    await expect(refused).rejects.toMatchObject({ code: 'usage' });
  });

  it('of a machine that does not answer are missing, and the others are there', async () => {
    scene.machines.disconnect('m2');
    const { unreachable } = await read(['all', 'one']);
    expect(told).toEqual(['m1 one.service c', 'm1 all.service a', 'missing m2']);
    expect(unreachable.map(({ machine }) => machine.name)).toEqual(['m2']);
  });

  it('that journalctl refuses are failures', async () => {
    const error = new FleetError('remote-script', 'Failed to parse timestamp: x');
    const driver = { ...scene.ports.driver, journal: () => Promise.reject(error) };
    scene = { ...scene, ports: { ...scene.ports, driver } };
    expect((await read(['one'], { since: 'x' })).failures).toEqual([error]);
  });

  it('leave no stream open', async () => {
    await read(['all', 'one']);
    expect(['m1', 'm2', 'm3'].map((name) => journal(name).open.size)).toEqual([0, 0, 0]);
  });
});

describe('journals that are followed', () => {
  it('continue with new entries until they are interrupted', async () => {
    const interrupt = new AbortController();
    const reading = read(['one'], { follow: true }, interrupt.signal);
    await expect.poll(() => journal('m1').following).toBe(1);
    journal('m1').say('one.service', 120, 'e');
    journal('m1').say('all.service', 121, 'not asked for');
    interrupt.abort();
    await reading;
    expect(told).toEqual(['c', 'e']);
    expect(journal('m1').open.size).toBe(0);
  });

  it('start at the machine’s own time where there was no entry yet', async () => {
    const interrupt = new AbortController();
    const reading = read(['all'], { follow: true, machine: 'm3' }, interrupt.signal);
    await expect.poll(() => journal('m3').following).toBe(1);
    interrupt.abort();
    await reading;
    expect(journal('m3').requests[1]).toMatchObject({ after: undefined, since: '@1000', follow: true });
  });

  it('continue after the last entry when the connection was lost, and report that', async () => {
    const interrupt = new AbortController();
    const reading = read(['one'], { follow: true }, interrupt.signal);
    await expect.poll(() => journal('m1').following).toBe(1);
    journal('m1').say('one.service', 120, 'e');
    journal('m1').drop();
    journal('m1').say('one.service', 121, 'f');
    await expect.poll(() => told.includes('f')).toBe(true);
    interrupt.abort();
    await reading;
    expect(told).toEqual(['c', 'e', 'lost m1', 'back m1', 'f']);
    expect(journal('m1').requests[2]).toMatchObject({ follow: true, since: undefined });
  });

  it('of several machines come in order', async () => {
    const interrupt = new AbortController();
    const reading = read(['all'], { follow: true, lines: 0 }, interrupt.signal);
    await expect.poll(() => ['m1', 'm2', 'm3'].every((name) => journal(name).following === 1)).toBe(true);
    journal('m2').say('all.service', 1131, 'later');
    journal('m1').say('all.service', 1130, 'sooner');
    interrupt.abort();
    await reading;
    expect(told).toEqual(['m1 all.service sooner', 'm2 all.service later']);
  });
});
