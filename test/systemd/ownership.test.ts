import { lstatSync, rmSync } from 'node:fs';
import { mkdir, readlink, symlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/base/hash.ts';
import type { UnitChange } from '../../src/plan/step.ts';
import { observeQuery } from '../../src/systemd/observation.ts';
import { CLUSTER, createLocalMachine, type LocalMachine } from '../support/local-machine.ts';
import { SHELLS } from '../support/local-shell.ts';
import { adopting, changes, unitText } from './changes.ts';

const WEB = 'web.service';
const FIRST = unitText('first');
const SECOND = unitText('second');

/** Everything fleet could have touched. */
function everything(machine: LocalMachine): unknown {
  return ['etc', 'var', 'foreign-run', 'foreign-usr'].flatMap((folder) =>
    machine.files(folder).map((file) => [folder, file, machine.text(folder, file)]),
  );
}

describe('the token of a unit', () => {
  const present: readonly (readonly [string, (token: number) => UnitChange])[] = [
    ['launch', (token) => changes.launch(WEB, SECOND, token)],
    ['load', (token) => changes.load(WEB, SECOND, token)],
    ['restart', (token) => changes.restart(WEB, SECOND, token)],
    ['start', (token) => changes.start(WEB, FIRST, token)],
    ['stop', (token) => changes.stop(WEB, FIRST, token)],
    ['note', (token) => changes.note(WEB, FIRST, token)],
    ['remove', (token) => changes.remove(WEB, token)],
  ];

  it.each(present)('keeps an older decision to %s it from doing anything', async (_, change) => {
    const machine = await createLocalMachine();
    await machine.change([changes.launch(WEB, FIRST, 10)]);
    const before = everything(machine);
    const [outcome] = await machine.change([change(9)]);
    expect(outcome?.failure).toEqual({ code: 'stale', token: 9, seen: 10 });
    expect(everything(machine)).toEqual(before);
    expect(machine.events()).toEqual([`start ${WEB} as first`]);
  });

  it.each(present)('lets the same decision to %s it through again, and a newer one', async (_, change) => {
    const machine = await createLocalMachine();
    await machine.change([changes.launch(WEB, FIRST, 10)]);
    for (const token of [10, 11, 11]) {
      const [outcome] = await machine.change([change(token)]);
      expect([token, outcome?.failure]).toEqual([token, undefined]);
    }
  });

  it('refuses a newer decision that was made on another record', async () => {
    const machine = await createLocalMachine();
    await machine.change([changes.launch(WEB, FIRST, 10)]);
    const before = everything(machine);
    for (const over of [0, 9]) {
      const [outcome] = await machine.change([{ ...changes.load(WEB, FIRST, 11), over }]);
      expect(outcome?.failure).toEqual({ code: 'overtaken', token: 11, seen: 10 });
    }
    expect(everything(machine)).toEqual(before);
    // The record of the same decision is there when another process was faster.
    for (const over of [10, 9]) {
      const [outcome] = await machine.change([{ ...changes.load(WEB, FIRST, 11), over }]);
      expect(outcome?.failure).toBeUndefined();
    }
  });

  it('is compared as a number: 9 is older than 10, and large ones are not rounded', async () => {
    const machine = await createLocalMachine();
    await machine.change([changes.load(WEB, FIRST, 9_007_199_254_740_991)]);
    const [outcome] = await machine.change([changes.load(WEB, SECOND, 9_007_199_254_740_990)]);
    expect(outcome?.failure).toMatchObject({ code: 'stale', seen: 9_007_199_254_740_991 });
  });

  it('outlives the unit: what was removed does not come back by an older decision', async () => {
    const machine = await createLocalMachine();
    await machine.change([changes.launch(WEB, FIRST, 1)]);
    await machine.change([changes.remove(WEB, 5)]);
    const before = everything(machine);
    for (const change of [changes.launch(WEB, SECOND, 4), changes.remove(WEB, 4)]) {
      const [outcome] = await machine.change([change]);
      expect(outcome?.failure).toEqual({ code: 'stale', token: 4, seen: 5 });
    }
    expect(everything(machine)).toEqual(before);
    const [outcome] = await machine.change([changes.launch(WEB, SECOND, 5)]);
    expect(outcome?.failure).toBeUndefined();
  });

  it('is noted before a stop, so that an older decision cannot start the unit meanwhile', async () => {
    const machine = await createLocalMachine();
    const stubborn = unitText('stubborn', 'ExecStart=/bin/sleep 1000', 'ExecStop=never');
    await machine.change([changes.launch(WEB, stubborn, 1)]);
    await machine.change([changes.remove(WEB, 3)]);
    const [outcome] = await machine.change([changes.start(WEB, stubborn, 2)]);
    expect(outcome?.failure).toEqual({ code: 'stale', token: 2, seen: 3 });
  });

  it('concerns no other unit', async () => {
    const machine = await createLocalMachine();
    await machine.change([changes.load(WEB, FIRST, 10)]);
    const outcomes = await machine.change([
      changes.load(WEB, SECOND, 9),
      changes.load('b.service', SECOND, 9),
    ]);
    expect(outcomes.map(({ failure }) => failure?.code)).toEqual(['stale', undefined]);
  });

  it('counts as none where a record is damaged', async () => {
    const machine = await createLocalMachine();
    await machine.change([changes.load(WEB, FIRST, 10)]);
    machine.write(`var/units/${WEB}`, 'unit=web.service\ntoken=1x\n');
    const [outcome] = await machine.change([changes.load(WEB, SECOND, 9)]);
    expect(outcome?.failure).toBeUndefined();
  });
});

describe('a unit that another fleet process puts there while the machine is looked at', () => {
  it('is not taken for another cluster', async () => {
    const machine = await createLocalMachine();
    await machine.change([changes.launch(WEB, FIRST, 1)]);
    const late = `mv "$L/units/${WEB}" "$L/aside"; section_() { mv "$L/aside" "$L/units/${WEB}"; section "$@"; }`;
    const rewrite = (script: string): string =>
      script
        .replace('section facts facts', `${late}; section facts facts`)
        .replace('section units show', 'section_ units show');
    const { units } = await machine.observe([WEB], { rewrite });
    expect(units.map(({ name, record }) => [name, record?.token])).toEqual([[WEB, 1]]);
  });
});

describe.each(SHELLS)('a lost record, with %s', (shell) => {
  const RECORDS = [
    ['missing', undefined],
    ['empty', ''],
    ['cut', `unit=${WEB}\ntoken=1\nhash=abc\ntarget=launch`],
    ['binary', '\0\xff\xfe\0'],
  ] as const;

  it.each(RECORDS)('that is %s: the unit is seen by its name, and adopted', async (kind, text) => {
    const machine = await createLocalMachine({ shell });
    await machine.change([changes.launch(WEB, FIRST, 5), changes.launch('z.service', FIRST, 5)]);
    if (text === undefined) rmSync(machine.path('var', 'units', WEB));
    else machine.write(`var/units/${WEB}`, text);
    const { units } = await machine.observe([WEB]);
    const lost = kind === 'missing' ? undefined : 'damaged';
    expect(units.find(({ name }) => name === WEB)).toMatchObject({
      record: undefined,
      ...(lost && { lost }),
      digest: sha256(FIRST),
      state: { active: 'active' },
    });
    const unnamed = (await machine.observe()).units.map(({ name }) => name).toSorted();
    expect(unnamed).toEqual(kind === 'missing' ? ['z.service'] : [WEB, 'z.service']);
    const [outcome] = await machine.change([adopting(changes.note(WEB, FIRST, 6), FIRST)]);
    expect(outcome?.failure).toBeUndefined();
    const [after] = (await machine.observe()).units;
    expect(after).toMatchObject({ name: WEB, record: { token: 6 }, state: { active: 'active' } });
    expect(machine.events()).toHaveLength(2);
    await machine.change([changes.remove(WEB, 7)]);
    expect(machine.files('var')).toEqual(['cluster', `removed/${WEB}`, 'units/z.service']);
  });

  it('in the place of which is a folder: the unit has a damaged record, and other units are not affected', async () => {
    const machine = await createLocalMachine({ shell });
    await machine.change([changes.launch(WEB, FIRST, 5), changes.launch('z.service', FIRST, 5)]);
    rmSync(machine.path('var', 'units', WEB));
    for (const path of [`units/${WEB}`, 'units/old', 'removed/x.service', 'confirm/x.service/armed'])
      await mkdir(machine.path('var', path), { recursive: true });
    const { units, token } = await machine.ask(observeQuery({ names: [], digests: true, token: true }));
    expect(token).toBe(5);
    expect(units.map(({ name, lost, record }) => [name, lost, record?.token])).toEqual(
      expect.arrayContaining([
        [WEB, 'damaged', undefined],
        ['z.service', undefined, 5],
      ]),
    );
    const [own, other] = await machine.change([
      adopting(changes.note(WEB, FIRST, 6), FIRST),
      changes.stop('z.service', FIRST, 6),
    ]);
    const detail = `${machine.path('var', 'units', WEB)} is a directory`;
    expect(own?.failure).toEqual({ code: 'step', step: 'install', detail });
    expect(machine.files('var').filter((file) => file.startsWith(`units/${WEB}/`))).toEqual([]);
    expect(other?.failure).toBeUndefined();
  });

  it.each([false, true])(
    'of an instance is made with a copy of its template; its file is a link: %s',
    async (isLink) => {
      const machine = await createLocalMachine({ shell });
      const unit = 'web@1.service';
      machine.write('etc/web@.service', FIRST);
      if (isLink) await symlink('web@.service', machine.path('etc', unit));
      expect((await machine.observe([unit])).units).toMatchObject([
        { name: unit, record: undefined, digest: sha256(FIRST) },
      ]);
      const [other] = await machine.change([adopting(changes.note(unit, SECOND, 6), SECOND)]);
      expect(other?.failure).toMatchObject({ code: 'step', step: 'install' });
      const [outcome] = await machine.change([adopting(changes.note(unit, FIRST, 6), FIRST)]);
      expect(outcome?.failure).toBeUndefined();
      expect(lstatSync(machine.path('etc', unit)).isFile()).toBe(true);
      expect(machine.text('etc', unit)).toBe(FIRST);
      expect((await machine.observe()).units).toMatchObject([{ name: unit, record: { token: 6 } }]);
      expect(machine.files('etc')).toContain('web@.service');
    },
  );

  it('is adopted neither with another file, nor against a newer decision', async () => {
    const machine = await createLocalMachine({ shell });
    machine.write(`etc/${WEB}`, SECOND);
    const [changed] = await machine.change([adopting(changes.note(WEB, FIRST, 6), FIRST)]);
    expect(changed?.failure).toMatchObject({ code: 'step', step: 'install' });
    await machine.change([changes.launch('a.service', FIRST, 5), changes.remove('a.service', 9)]);
    await machine.change([changes.remove('a.service', 9)]);
    machine.write('etc/a.service', FIRST);
    const [stale] = await machine.change([adopting(changes.note('a.service', FIRST, 6), FIRST)]);
    expect(stale?.failure).toEqual({ code: 'stale', token: 6, seen: 9 });
    const [known] = await machine.change([changes.launch('b.service', FIRST, 5)]);
    expect(known?.failure).toBeUndefined();
    await machine.change([adopting(changes.note('b.service', FIRST, 5), FIRST)]);
    const { units } = await machine.observe();
    expect(units.map(({ name, record }) => [name, record?.token])).toEqual([['b.service', 5]]);
  });
});

describe('a unit that fleet did not install', () => {
  it.each([
    ['by the administrator', 'etc/web.service', WEB],
    ['for this boot', 'foreign-run/web.service', WEB],
    ['by a package', 'foreign-usr/web.service', WEB],
    ['as a template of the administrator', 'etc/web@.service', 'web@1.service'],
    ['as a template of a package', 'foreign-usr/web@.service', 'web@1.service'],
    ['as an instance', 'foreign-run/web@a@b.service', 'web@a@b.service'],
    ['as a template, whatever the instance', 'foreign-usr/web@.service', String.raw`web@a\x2d:@_.b.service`],
  ])('is neither touched nor shadowed: put there %s', async (_, file, unit) => {
    const machine = await createLocalMachine();
    machine.write(file, FIRST);
    const outcomes = await machine.change([
      changes.launch(unit, SECOND, 1),
      changes.launch('b.service', SECOND, 1),
    ]);
    expect(outcomes.map(({ failure }) => failure)).toEqual([
      { code: 'foreign', path: machine.path(file) },
      undefined,
    ]);
    expect(machine.text(file)).toBe(FIRST);
    expect(machine.files('var')).toEqual(['cluster', 'units/b.service']);
    expect(machine.events()).toEqual(['start b.service as second']);
  });

  it.each([
    ['masked by hand', '/dev/null'],
    ['a link to nowhere', '/nowhere/web.service'],
  ])('may be %s', async (_, target) => {
    const machine = await createLocalMachine();
    await symlink(target, machine.path('etc', WEB));
    const [outcome] = await machine.change([changes.launch(WEB, SECOND, 1)]);
    expect(outcome?.failure).toEqual({ code: 'foreign', path: machine.path('etc', WEB) });
  });

  it('stays masked when a unit of fleet is noted that is masked, too', async () => {
    const machine = await createLocalMachine();
    await machine.change([changes.launch(WEB, FIRST, 1)]);
    rmSync(machine.path('etc', WEB));
    for (const unit of [WEB, 'other.service']) await symlink('/dev/null', machine.path('etc', unit));
    const [outcome] = await machine.change([changes.note(WEB, FIRST, 2)]);
    expect(outcome?.failure).toBeUndefined();
    for (const unit of [WEB, 'other.service'])
      expect(await readlink(machine.path('etc', unit))).toBe('/dev/null');
  });

  it('is not removed either', async () => {
    const machine = await createLocalMachine();
    machine.write(`etc/${WEB}`, FIRST);
    const [outcome] = await machine.change([changes.remove(WEB, 1)]);
    expect(outcome?.failure).toMatchObject({ code: 'foreign' });
    expect(machine.text('etc', WEB)).toBe(FIRST);
  });

  it('does not stand in the way of a unit whose name it only resembles', async () => {
    const machine = await createLocalMachine();
    for (const file of ['web@.service', 'xweb.service', 'web.socket', 'web@.socket', 'web.service.d']) {
      machine.write(`foreign-usr/${file}`, FIRST);
    }
    const [outcome] = await machine.change([changes.launch(WEB, SECOND, 1)]);
    expect(outcome?.failure).toBeUndefined();
  });

  it('that comes to a name of fleet later does not take the unit away', async () => {
    const machine = await createLocalMachine();
    await machine.change([changes.launch(WEB, FIRST, 1)]);
    machine.write(`foreign-usr/${WEB}`, 'a package');
    const [outcome] = await machine.change([changes.restart(WEB, SECOND, 2)]);
    expect(outcome?.failure).toBeUndefined();
    expect(machine.text('foreign-usr', WEB)).toBe('a package');
  });
});

describe('the cluster of a machine', () => {
  it('is the first one that changes it, and no other', async () => {
    const machine = await createLocalMachine();
    await machine.change([changes.launch(WEB, FIRST, 1)]);
    const before = everything(machine);
    const other = { cluster: '5f0c6c1e-0000-4000-8000-000000000002' };
    const outcomes = await machine.change(
      [changes.remove(WEB, 9), changes.launch('b.service', SECOND, 9)],
      other,
    );
    const failure = { code: 'other-cluster', cluster: CLUSTER };
    expect(outcomes.map((outcome) => outcome.failure)).toEqual([failure, failure]);
    expect(everything(machine)).toEqual(before);
    expect(machine.events()).toHaveLength(1);
    expect((await machine.change([changes.remove(WEB, 9)]))[0]?.failure).toBeUndefined();
  });

  it('is not claimed by looking', async () => {
    const machine = await createLocalMachine();
    await machine.observe([WEB]);
    expect((await machine.observe()).cluster).toBeUndefined();
  });

  it('is claimed again where its file is empty, as after a power loss', async () => {
    const machine = await createLocalMachine();
    await mkdir(dirname(machine.path('var/cluster')), { recursive: true });
    machine.write('var/cluster', '');
    const [outcome] = await machine.change([changes.launch(WEB, FIRST, 1)]);
    expect([outcome?.failure, machine.text('var/cluster')]).toEqual([undefined, `${CLUSTER}\n`]);
  });

  it('is claimed by one of two that come at once', async () => {
    const machine = await createLocalMachine();
    const clusters = ['first', 'second', 'third'];
    const outcomes = await Promise.all(
      clusters.map((cluster) => machine.change([changes.load(`${cluster}.service`, FIRST, 1)], { cluster })),
    );
    const winner = machine.text('var/cluster')?.trim();
    expect(clusters).toContain(winner);
    expect(machine.files('etc')).toEqual([`${winner}.service`]);
    expect(outcomes.flat().filter(({ failure }) => failure === undefined)).toHaveLength(1);
  });
});
