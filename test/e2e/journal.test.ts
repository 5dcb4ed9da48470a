import { beforeAll, describe, expect, it, vi } from 'vitest';
import { inside, insideAll, MACHINES, onMachines } from '../support/cluster.ts';
import { createOperator, service } from './operator.ts';

const TICK = 'i=0; while :; do i=$$((i+1)); echo tick $$i; sleep 0.2; done';

onMachines('journal', () => {
  const operator = createOperator({ metadata: { k1: 'name=k1' } });

  beforeAll(async () => {
    operator.write('all.service', service(`ExecStart=/bin/sh -c "${TICK}"`, 'Global=true'));
    operator.write('one.service', service(`ExecStart=/bin/sh -c "${TICK}"`, 'MachineMetadata=name=k1'));
    await operator.fleetctl('start', 'all', 'one');
    await vi.waitUntil(async () => /tick \d\d/.test((await operator.fleetctl('journal', 'one')).stdout), {
      timeout: 20_000,
    });
  });

  it('of one unit on one machine prints what journalctl prints there', async () => {
    const until = (await inside('k1', 'date +%s')).trim();
    const words = ['--since', '2020-01-01', '--until', `@${until}`];
    const { status, stdout, stderr } = await operator.fleetctl('journal', 'one', ...words);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toBe(
      await inside('k1', `journalctl --quiet --unit=one.service --since=2020-01-01 --until=@${until}`),
    );
    const last = await operator.fleetctl('journal', 'one', '-n', '3', '--output', 'cat');
    expect(last.stdout).toMatch(/^(tick \d+\n){3}$/);
    const verbose = await operator.fleetctl('journal', 'one', '-n', '1', '-o', 'verbose');
    expect(verbose.stdout).toMatch(/\n {4}MESSAGE=tick \d+\n/);
  });

  it('of a global unit merges lines by time, and names their machines', async () => {
    const { status, stdout, stderr } = await operator.fleetctl(
      'journal',
      'all',
      '-n',
      '30',
      '-o',
      'short-unix',
    );
    expect([status, stderr]).toEqual([0, '']);
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(30);
    const found = lines.map((line) => /^\[(k\d) all\.service\] (\d+\.\d{6}) \1 \w+\[\d+\]: /.exec(line));
    expect(new Set(found.map((match) => match?.[1]))).toEqual(new Set(MACHINES));
    const times = found.map((match) => Number(match?.[2]));
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    const one = await operator.fleetctl('journal', 'all', '--machine', 'k2', '-n', '2', '-o', 'cat');
    expect(one.stdout).toMatch(/^(tick \d+\n){2}$/);
  });

  it('escapes control characters for terminals, and keeps every byte for programs', async () => {
    const say = String.raw`printf '\\033[2Jred\\rError: forged\\n\\342\\200\\256bidi\\n' >&2`;
    operator.write('noise.service', service(`ExecStart=/bin/sh -c "${say}; exit 3"`));
    const start = await operator.fleetctl('start', 'noise');
    expect(start.stderr).toContain('\n  \\u001b[2Jred\\u000dError: forged\n  \\u202ebidi\n');
    const journal = await operator.fleetctl('journal', 'noise');
    expect(journal.stdout).toContain(': \\u001b[2Jred\\u000dError: forged\n');
    const status = await operator.fleetctl('status', 'noise');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the test is about control characters
    const raw = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/;
    for (const { stdout, stderr } of [start, journal, status]) expect(stdout + stderr).not.toMatch(raw);
    const bytes = await operator.fleetctl('journal', 'noise', '-o', 'export');
    expect(bytes.stdout).toContain('\u001b[2Jred\rError: forged');
    await operator.fleetctl('destroy', 'noise');
  });

  it('of several units names the unit of each line', async () => {
    const { stdout } = await operator.fleetctl('journal', '*', '--machine', 'k1', '--since', '-2s');
    expect(stdout).toMatch(/^\[k1 all\.service\] /m);
    expect(stdout).toMatch(/^\[k1 one\.service\] /m);
  });

  it.each([
    ['a unit that is not there', ['nope', 'one'], 4, 'No such unit: "nope.service"'],
    ['a machine that is not there', ['one', '--machine', 'k9'], 4, 'No such machine: "k9"'],
    ['a unit on another machine', ['one', '--machine', 'k2'], 1, 'Unit "one.service" is not on machine "k2"'],
    ['lines that are none', ['one', '-n', 'x'], 2, 'Cannot read --lines: "x" is not a whole number'],
    [
      'a format that is none',
      ['one', '-o', 'x'],
      2,
      "option '-o, --output <format>' argument 'x' is invalid",
    ],
    ['a format that cannot be merged', ['all', '-o', 'export'], 2, 'Cannot merge entries in the format'],
    ['a time that is none', ['one', '--since', 'x'], 1, 'Failed to parse timestamp: x'],
  ])('%s', async (_, words, status, message) => {
    const outcome = await operator.fleetctl('journal', ...words);
    expect(outcome.status).toBe(status);
    expect(outcome.stderr).toMatch(/^Error: /);
    expect(outcome.stderr).toContain(message);
  });

  describe('--follow', () => {
    it('continues over a lost connection without a gap, and leaves no process after Ctrl-C', async () => {
      const { process, ended } = operator.launch(['journal', '-f', 'all', '-n', '3']);
      let printed = '';
      process.stdout?.on('data', (chunk: Buffer) => {
        printed += chunk.toString();
      });
      const count = (): number => printed.match(/^\[k2 /gm)?.length ?? 0;
      const more = async (lines: number): Promise<void> => {
        const start = count();
        await vi.waitUntil(() => count() > start + lines, { timeout: 30_000 });
      };
      await more(5);
      await inside('k2', "pkill -f '^sshd: root@notty'");
      await more(10);
      process.kill('SIGINT');
      const { status, stdout, stderr } = await ended;
      expect(status).toBe(130);
      expect(stderr).toMatch(
        /^Warning: the journal on machine "k2" \(\S+\) stopped: .*; trying again\nFollowing machine "k2" \(\S+\) again from where it stopped\n$/,
      );
      const ticks = [...stdout.matchAll(/^\[k2 .*: tick (\d+)$/gm)].map(([, tick]) => Number(tick));
      expect(ticks).toEqual(ticks.map((_, index) => (ticks[0] ?? 0) + index));
      expect((await insideAll(MACHINES, 'pgrep -x journalctl || true')).join('')).toBe('');
    });

    it('ends on the machine when fleetctl is killed', async () => {
      const { process, ended } = operator.launch(['journal', '-f', 'one']);
      await expect.poll(() => inside('k1', 'pgrep -x journalctl || true')).not.toBe('');
      process.kill('SIGKILL');
      await ended;
      await expect.poll(() => inside('k1', 'pgrep -x journalctl || true')).toBe('');
    });
  });

  it('names the unreachable machine, and shows the others', async () => {
    operator.configure({
      metadata: { k1: 'name=k1' },
      ssh: { port: '22' },
      machines: ['k1', 'k2', 'k3', 'k8'],
    });
    const { status, stdout, stderr } = await operator.fleetctl('journal', 'all', '-n', '9');
    expect([status, stdout.split('\n').length]).toEqual([5, 10]);
    expect(stderr).toMatch(/^Warning: Cannot reach machine "k8" /);
  });
});
