import { mkdirSync, rmdirSync, symlinkSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { isForeign } from '../../src/cluster/unit-state.ts';
import { createLocalMachine, type LocalMachine } from '../support/local-machine.ts';
import { SHELLS } from '../support/local-shell.ts';
import { changes, unitText } from './changes.ts';

const TEXT = unitText('theirs');
const RUN = '0123456789abcdef0123456789abcdef';

describe.each(SHELLS)('of the units that are asked for, a machine with %s', (shell) => {
  const create = (): Promise<LocalMachine> => createLocalMachine({ shell });

  it('shows those that systemd may know, and asks systemd about no other', async () => {
    const machine = await create();
    machine.write('etc/by-file.service', TEXT);
    machine.write('foreign-usr/by-template@.service', TEXT);
    machine.write('foreign-run/back\\x2dslash.service', TEXT);
    symlinkSync('/dev/null', machine.path('foreign-run/masked.service'));
    symlinkSync('nowhere', machine.path('etc/dangling.service'));
    symlinkSync(RUN, machine.path('stub/runs/invocation:by-run.service'));
    const known = [
      'back\\x2dslash.service',
      'by-file.service',
      'by-run.service',
      'by-template@1.service',
      'dangling.service',
      'masked.service',
    ];
    const { units } = await machine.observe(['none.service', 'none@1.service', ...known]);
    expect(units.map(({ name }) => name)).toEqual(known);
    expect(machine.calls('show').map((call) => call.split(' -- ')[1])).toEqual([known.join(' ')]);
  });

  it('shows a folder in the place of a unit file as a foreign unit, without systemd', async () => {
    const machine = await create();
    for (const name of ['folder.service', 'runs.service']) mkdirSync(machine.path('etc', name));
    symlinkSync(RUN, machine.path('stub/runs/invocation:runs.service'));
    const { units } = await machine.observe(['folder.service', 'runs.service']);
    const folder = units.find(({ name }) => name === 'folder.service');
    expect(folder?.state).toMatchObject({ active: 'inactive', fragment: machine.path('etc/folder.service') });
    expect(folder && isForeign(folder)).toBe(true);
    expect(machine.calls('show').map((call) => call.split(' -- ')[1])).toEqual(['runs.service']);
  });

  it('shows one of ours once, though it is asked for', async () => {
    const machine = await create();
    await machine.change([changes.launch('web.service', TEXT, 1)]);
    const before = machine.calls('show').length;
    await machine.observe(['web.service']);
    expect(machine.calls('show').slice(before)).toEqual([expect.stringMatching(/ -- web\.service$/)]);
  });

  it('shows all of them where systemd keeps no links to runs', async () => {
    const machine = await create();
    rmdirSync(machine.path('stub/runs'));
    const { units } = await machine.observe(['none.service']);
    expect(units).toMatchObject([{ name: 'none.service', state: { load: 'not-found' } }]);
  });
});
