import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { examineQuery } from '../../src/systemd/examination.ts';
import {
  createLocalMachine,
  type LocalMachine,
  MACHINE_ID,
  type SessionOptions,
} from '../support/local-machine.ts';
import { SHELLS } from '../support/local-shell.ts';
import { changes, unitText } from './changes.ts';

const examine = (machine: LocalMachine, options?: SessionOptions) => machine.ask(examineQuery(), options);

/** A command of the machine that is not there, for scripts and for `command -v`. */
const without = (tool: string): SessionOptions => ({
  rewrite: (script) => script.replace(/command -v "\$tool"/g, `[ "$tool" != ${tool} ] && command -v "$tool"`),
});

describe.each(SHELLS)('a look at a machine by %s', (shell) => {
  it('finds what is there, and leaves nothing behind', async () => {
    const machine = await createLocalMachine({ shell });
    const before = machine.files();
    const found = await examine(machine);
    expect(found).toMatchObject({
      uid: process.getuid?.(),
      machineId: MACHINE_ID,
      systemd: { version: 252, state: 'running' },
      absent: [],
      cluster: undefined,
      journalObstacle: undefined,
      containers: [],
    });
    expect(Math.abs((found.clock ?? 0) - Date.now() / 1000)).toBeLessThan(5);
    expect(found.folders.map(({ obstacle }) => obstacle)).toEqual([undefined, undefined, undefined]);
    expect(found.space).toHaveLength(3);
    for (const { kib } of found.space) expect(kib).toBeGreaterThan(0);
    expect(machine.files().filter((file) => !before.includes(file) && !file.startsWith('stub/'))).toEqual([]);
  });
});

describe('a look at a machine', () => {
  it('tells whose it is, and which container tools its units use', async () => {
    const machine = await createLocalMachine();
    await machine.change([
      changes.load('web.service', unitText('web', 'ExecStart=/usr/bin/nowhere-podman run x'), 1),
      changes.load('app.service', unitText('app', 'ExecStart=/usr/bin/docker run x'), 1),
    ]);
    const found = await examine(machine, without('docker'));
    expect(found.cluster).toBe('5f0c6c1e-0000-4000-8000-000000000001');
    expect(found.containers).toContainEqual({ tool: 'docker', present: false });
  });

  it('tells what is in the place of a file of fleet', async () => {
    const machine = await createLocalMachine();
    expect((await examine(machine)).occupied).toEqual([]);
    await machine.change([changes.load('a.service', unitText('x'), 1)]);
    expect((await examine(machine)).occupied).toEqual([]);
    mkdirSync(machine.path('var/units/b.service'));
    mkdirSync(machine.path('var/removed/c.service'));
    writeFileSync(machine.path('etc/a.service.d'), '');
    expect((await examine(machine)).occupied).toEqual([
      `${machine.path('var/units/b.service')} is a directory`,
      `${machine.path('var/removed/c.service')} is a directory`,
      `${machine.path('etc/a.service.d')} is no directory`,
    ]);
  });

  it('tells which unit files were changed, and which records are damaged', async () => {
    const machine = await createLocalMachine();
    const names = ['a.service', 'b.service', 'c.service', 'd.service'];
    await machine.change(names.map((name) => changes.load(name, unitText('x'), 1)));
    machine.write('etc/b.service', unitText('y'));
    machine.write('var/units/c.service', 'unit=c.service');
    expect((await examine(machine)).altered).toEqual([
      { unit: 'b.service', what: 'altered' },
      { unit: 'c.service', what: 'damaged' },
    ]);
  });

  it('tells the folder that cannot be written, and why', async () => {
    const machine = await createLocalMachine();
    const found = await examine(machine, {
      rewrite: (script) => script.replace(/^D=.*$/m, 'D=/proc/sys'),
    });
    expect(found.folders.map(({ obstacle }) => obstacle)).toEqual([
      expect.stringMatching(/^(Permission denied|No such file or directory|Directory nonexistent)$/),
      undefined,
      undefined,
    ]);
  });

  it('tells which tools are not there', async () => {
    expect((await examine(await createLocalMachine(), without('flock'))).absent).toEqual(['flock']);
  });

  it('tells which tools are there and do not do their work', async () => {
    const machine = await createLocalMachine();
    const bin = machine.path('broken-tools');
    mkdirSync(bin);
    for (const tool of ['base64', 'sha256sum', 'sleep']) {
      writeFileSync(`${bin}/${tool}`, '#!/bin/sh\nexit 127\n');
      chmodSync(`${bin}/${tool}`, 0o755);
    }
    const before = machine.files();
    const found = await examine(machine, {
      rewrite: (script) => script.replace('broken() {', `broken() {\nPATH=${bin}:$PATH`),
    });
    expect([found.absent, found.broken]).toEqual([[], ['sha256sum', 'base64', 'sleep']]);
    expect(machine.files().filter((file) => !before.includes(file) && !file.startsWith('stub/'))).toEqual([]);
  });

  it('does not say that tools work where it cannot try them', async () => {
    const found = await examine(await createLocalMachine(), {
      rewrite: (script) => script.replace(/^R=.*$/m, 'R=/proc/sys'),
    });
    expect(found.broken).toBeUndefined();
  });

  it('continues where systemctl and journalctl are missing', async () => {
    const machine = await createLocalMachine();
    const bin = machine.path('broken');
    mkdirSync(bin);
    for (const tool of ['systemctl', 'journalctl']) {
      writeFileSync(
        `${bin}/${tool}`,
        '#!/bin/sh\necho "journalctl: No journal files were opened" >&2; exit 1\n',
      );
      chmodSync(`${bin}/${tool}`, 0o755);
    }
    const found = await examine(machine, { setup: `PATH="${bin}:$PATH"` });
    expect(found.systemd).toBeUndefined();
    expect(found.journalObstacle).toBe('No journal files were opened');
    expect(found.absent).toEqual([]);
  });
});
