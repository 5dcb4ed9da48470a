import { mkdir, rm, symlink } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { createLocalMachine, type LocalMachine } from '../support/local-machine.ts';
import { unitText } from './changes.ts';
import { pass, planFor, type Wish } from './pass.ts';

const WEB = 'web.service';
const FIRST = unitText(
  'first',
  'ExecStart=/bin/sleep 1000',
  '[Install]\nAlias=www.service\nWantedBy=app.target',
);
const SECOND = unitText(
  'second',
  'ExecStart=/bin/sleep 1000',
  '[Install]\nRequiredBy=db.service\nUpheldBy=app.target',
);
const BOOT = ['fleet.target.wants/web.service', 'multi-user.target.wants/fleet.target'];

const wish = (text: string, target: Wish['target'], token: number): Wish => ({
  name: WEB,
  text,
  target,
  token,
});

function links(machine: LocalMachine): readonly string[] {
  return machine.files('etc').filter((file) => !['fleet.target', WEB].includes(file));
}

describe('what [Install] asks for', () => {
  it('is there while the unit is launched, and only then', async () => {
    const machine = await createLocalMachine();
    await pass(machine, [wish(FIRST, 'loaded', 1)]);
    expect(links(machine)).toEqual([]);
    await pass(machine, [wish(FIRST, 'launched', 2)]);
    expect(links(machine)).toEqual(['app.target.wants/web.service', ...BOOT, 'www.service'].sort());
    expect(machine.text('etc/www.service')).toBe(FIRST);
    expect(machine.calls('daemon-reload')).toHaveLength(2);
    await pass(machine, [wish(FIRST, 'loaded', 3)]);
    expect(links(machine)).toEqual([BOOT[1]]);
    await pass(machine, [wish(FIRST, 'launched', 4)]);
    await pass(machine, [wish(FIRST, 'inactive', 5)]);
    expect(links(machine)).toEqual([BOOT[1]]);
  });

  it('goes when another text no longer asks for it', async () => {
    const machine = await createLocalMachine();
    await pass(machine, [wish(FIRST, 'launched', 1)]);
    await pass(machine, [wish(SECOND, 'launched', 2)]);
    expect(links(machine)).toEqual(
      ['app.target.upholds/web.service', 'db.service.requires/web.service', ...BOOT].sort(),
    );
  });

  it.each<readonly [string, (machine: LocalMachine) => Promise<void>]>([
    ['removed it', (machine) => rm(machine.path('etc/app.target.wants/web.service'))],
    ['removed its link for the boot', (machine) => rm(machine.path('etc/fleet.target.wants/web.service'))],
    [
      'enabled it elsewhere',
      async (machine) => {
        await mkdir(machine.path('etc/x.target.wants'));
        await symlink('../web.service', machine.path('etc/x.target.wants/web.service'));
      },
    ],
  ])('is repaired by the next pass when a user %s', async (_, meddle) => {
    const machine = await createLocalMachine();
    const wishes = [wish(FIRST, 'launched', 1)];
    await pass(machine, wishes);
    const before = links(machine);
    await meddle(machine);
    expect(links(machine)).not.toEqual(before);
    expect(await pass(machine, wishes)).toMatchObject([{ failure: undefined }]);
    expect(links(machine)).toEqual(before);
    expect(planFor(wishes, await machine.observe())).toEqual([]);
  });

  it.each([
    ['a unit of the machine', 'foreign-usr'],
    ['a unit of the administrator', 'etc'],
  ])('is refused before anything is written when another name is that of %s', async (_, folder) => {
    const machine = await createLocalMachine();
    machine.write(`${folder}/www.service`, unitText('not ours'));
    const [outcome] = await pass(machine, [wish(FIRST, 'launched', 1)]);
    const path = machine.path(folder, 'www.service');
    expect(outcome?.failure).toEqual({ code: 'alias-taken', alias: 'www.service', path });
    expect(machine.files('etc')).toEqual(folder === 'etc' ? ['www.service'] : []);
    expect(machine.files('var', 'units')).toEqual([]);
  });

  it('does not change links that are not other names of the unit', async () => {
    const machine = await createLocalMachine();
    machine.write('foreign-usr/other.service', unitText('not ours'));
    await symlink(machine.path('foreign-usr/other.service'), machine.path('etc/other.service'));
    await symlink('/nowhere/else.service', machine.path('etc/broken.service'));
    await pass(machine, [wish(FIRST, 'launched', 1)]);
    await pass(machine, [wish(FIRST, 'inactive', 2)]);
    expect(links(machine)).toEqual(['broken.service', BOOT[1], 'other.service']);
  });

  it('removes another name whose unit file was never written', async () => {
    const machine = await createLocalMachine();
    await pass(machine, [wish(FIRST, 'launched', 1)]);
    await rm(machine.path('etc', WEB));
    await pass(machine, [wish(FIRST, 'inactive', 2)]);
    expect(links(machine)).toEqual([BOOT[1]]);
  });
});

describe('a disk that is full', () => {
  it('does not keep a unit from being stopped, nor the machine from knowing it', async () => {
    const machine = await createLocalMachine();
    await pass(machine, [wish(FIRST, 'launched', 1)]);
    // No file can be made there any more; those that are there can be written.
    await rm(machine.path('var/tmp'), { recursive: true });
    machine.write('var/tmp', '');
    const full = { rewrite: (script: string) => script.replace('"$L/tmp" "$R"', '"$R"') };
    expect(await pass(machine, [wish(FIRST, 'loaded', 3)], full)).toMatchObject([{ failure: undefined }]);
    expect(machine.events().at(-1)).toBe(`stopped ${WEB}`);
    const [unit] = (await machine.observe()).units;
    expect(unit?.record).toMatchObject({ token: 3, target: 'loaded' });
    expect(planFor([wish(FIRST, 'loaded', 3)], await machine.observe())).toEqual([]);
    const [late] = await pass(machine, [wish(FIRST, 'launched', 2)], full);
    expect(late?.failure).toMatchObject({ code: 'stale', seen: 3 });
  });
});
