import { beforeAll, describe, expect, it, vi } from 'vitest';
import { cluster, inside, onMachines, until } from '../support/cluster.ts';
import { createOperator, type Launched, PROGRAM, SLEEPER } from './operator.ts';
import { hasTerminals, Terminal } from './terminal.ts';

const EVERY = ['--interval', '200ms'];

onMachines('list-units --watch', () => {
  const operator = createOperator();
  beforeAll(async () => {
    operator.write('web.service', SLEEPER);
    await operator.fleetctl('start', 'web');
  });

  /** A watch in a pipe, and its output so far. */
  function watch(
    ...words: readonly string[]
  ): Launched & { readonly out: () => string; readonly err: () => string } {
    const launched = operator.launch([...words, '--watch', ...EVERY]);
    let out = '';
    let err = '';
    launched.process.stdout?.on('data', (chunk: Buffer) => {
      out += chunk;
    });
    launched.process.stderr?.on('data', (chunk: Buffer) => {
      err += chunk;
    });
    return { ...launched, out: () => out, err: () => err };
  }

  const sees = (text: () => string, what: RegExp): Promise<void> =>
    vi.waitFor(() => expect(text()).toMatch(what), { timeout: 20_000, interval: 50 });

  it('in a pipe prints changes, also machines that become unreachable and reachable, until Ctrl-C', async () => {
    const table = watch('list-units', '--fields', 'unit,active,sub');
    const lines = watch('list-units', '-o', 'json');
    await Promise.all([sees(table.out, /running/), sees(lines.out, /running/)]);
    await inside('k1', 'systemctl stop web');
    await sees(table.out, /inactive/);
    // A lost connection that can be restored at once does not count as unreachable.
    await inside('k1', "pkill -f '^sshd: root'");
    await until('k1', "pgrep -f '^sshd: root'");
    expect(table.out()).not.toContain('unreachable');
    await cluster('kill', 'k1');
    await sees(table.out, /unreachable/);
    await cluster('start', 'k1');
    await sees(table.out, /unreachable[\s\S]*running/);
    await sees(lines.out, /unreachable[\s\S]*"sub":"running"/);
    table.process.kill('SIGINT');
    lines.process.kill('SIGINT');
    expect(await table.ended).toMatchObject({ status: 130 });
    expect(await lines.ended).toMatchObject({ status: 130 });
    const states = table
      .out()
      .split('\n\n')
      .map((block) => block.trim().split(/\s+/).slice(-2).join(' '));
    expect(states.slice(0, 3)).toEqual(['active running', 'inactive dead', 'unknown unreachable']);
    expect(states.at(-1)).toBe('active running');
    expect(table.err()).toContain('Warning: ');
    const objects = lines
      .out()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(objects.map(({ units }) => units[0].active).slice(0, 3)).toEqual([
      'active',
      'inactive',
      'unknown',
    ]);
    expect(objects.at(-1).unreachable).toEqual([]);
  });

  it('keeps one connection and one shell on each machine', async () => {
    const shells = async (): Promise<number> =>
      Number((await inside('k2', "pgrep -fc '^/bin/sh -s$' || true")).trim());
    const table = watch('list-machines');
    await sees(table.out, /127\.76\.\d\.2/);
    const before = await inside('k2', "pgrep -f '^sshd: root' | sort");
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(await inside('k2', "pgrep -f '^sshd: root' | sort")).toBe(before);
    // A shell may have children with the same command line.
    await vi.waitFor(async () => expect(await shells()).toBe(1), { timeout: 20_000 });
    table.process.kill('SIGINT');
    await table.ended;
    await vi.waitFor(async () => expect(await shells()).toBe(0), { timeout: 20_000 });
  });

  describe.skipIf(!hasTerminals)('on a terminal', () => {
    it('redraws in place, and restores the screen', async () => {
      const terminal = new Terminal([PROGRAM, 'list-units', '--watch', ...EVERY], {
        cwd: operator.folder,
        env: { ...operator.environment, TERM: 'xterm-256color' },
      });
      await terminal.shows(/every 200ms[\s\S]*web\.service[\s\S]*every 200ms/);
      await inside('k1', 'systemctl stop web');
      await terminal.shows(/inactive/);
      terminal.type('\x03');
      expect(await terminal.ended).toEqual({ status: 130, restored: true });
      expect(terminal.screen).not.toContain('\u001b[?');
    });
  });
});
