import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, lchownSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { type Desk, makeDesk, REFUSING } from './desk.ts';

const STRANGER = 54_321;
const UNITS = ['list-units'] as const;

/** A desk of root with a file that would leave a mark if anything in it were executed, and belongs to a stranger. */
async function arrange(name: string, conf: string, content: string): Promise<Desk> {
  const desk = await makeDesk(conf);
  await desk.write(name, content);
  chownSync(join(desk.cwd, name), STRANGER, STRANGER);
  return desk;
}

const COMMAND = (desk: string): string =>
  `Match exec "touch ${desk}/mark"\n ProxyCommand touch ${desk}/mark\n`;
const OF_STRANGER = 'it belongs to user 54321 (mode 0644), and another user must not decide what you run';

// Owners are given by root.
describe.runIf(process.geteuid?.() === 0)('another user of this computer', () => {
  it.each([
    ['fleet.conf in the current folder', 'fleet.conf', REFUSING, 'read the configuration "fleet.conf"'],
    ['a file of ssh', 'ssh', `[ssh]\nssh_config = ssh\n${REFUSING}`, 'use "ssh"'],
  ])('runs nothing by %s', async (_, name, conf, what) => {
    const desk = await makeDesk(conf);
    await desk.write(name, name === 'ssh' ? COMMAND(desk.cwd) : conf);
    chownSync(join(desk.cwd, name), STRANGER, STRANGER);
    expect(await desk.run(UNITS)).toEqual({
      status: 2,
      out: '',
      err: `Error: Cannot ${what}: ${OF_STRANGER}\nhint: If you trust it: chown root ${name}\n`,
    });
    expect(existsSync(join(desk.cwd, 'mark'))).toBe(false);
    // The same file of the person behind sudo is no file of a stranger: it is used, and the machine refuses.
    vi.stubEnv('SUDO_UID', `${STRANGER}`);
    expect((await desk.run(UNITS)).err).not.toContain('belongs to');
    vi.unstubAllEnvs();
  });

  it('stores nothing in a registry', async () => {
    const desk = await makeDesk(REFUSING);
    mkdirSync(join(desk.cwd, 'registry'));
    chownSync(join(desk.cwd, 'registry'), STRANGER, STRANGER);
    expect(await desk.run(['list-unit-files'])).toMatchObject({
      status: 2,
      err: expect.stringContaining('Cannot use "registry": it belongs to user 54321 (mode 0755)'),
    });
    chownSync(join(desk.cwd, 'registry'), 0, 0);
    chmodSync(join(desk.cwd, 'registry'), 0o777);
    expect(await desk.run(['list-unit-files'])).toMatchObject({
      status: 2,
      err: expect.stringContaining('chmod go-w registry'),
    });
  });

  it('leads to no other registry, and answers for no controller', async () => {
    const desk = await makeDesk(REFUSING);
    mkdirSync(join(desk.cwd, 'mine'));
    symlinkSync('mine', join(desk.cwd, 'registry'));
    lchownSync(join(desk.cwd, 'registry'), STRANGER, STRANGER);
    expect(await desk.run(['list-unit-files'])).toMatchObject({
      status: 2,
      err: expect.stringContaining('Cannot use "registry": it is a link that belongs to user 54321'),
    });
    rmSync(join(desk.cwd, 'registry'));
    const asked = vi.fn();
    const server = createServer((socket) => socket.destroy(asked()));
    onTestFinished(() => void server.close());
    await once(server.listen(join(desk.cwd, 'fleet.sock')), 'listening');
    await desk.run(UNITS);
    expect(asked).toHaveBeenCalled();
    asked.mockClear();
    chownSync(join(desk.cwd, 'fleet.sock'), STRANGER, STRANGER);
    await desk.run(UNITS);
    expect(asked).not.toHaveBeenCalled();
  });

  it('gives no unit file, key or list of host keys', async () => {
    const desk = await arrange('a.service', REFUSING, '[Service]\nExecStart=/bin/true\n');
    expect((await desk.run(['start', 'a'])).err).toContain(
      `Cannot read unit file "a.service": ${OF_STRANGER}`,
    );
    chownSync(join(desk.cwd, 'key'), STRANGER, STRANGER);
    expect((await desk.run(UNITS)).err).toContain(OF_STRANGER.slice(0, 24));
    chownSync(join(desk.cwd, 'key'), 0, 0);
    const hosts = await arrange('hosts', `[ssh]\nknown_hosts_file = hosts\n${REFUSING}`, '');
    const { err } = await hosts.run(UNITS);
    expect(err).toContain('belongs to user 54321');
  });
});
