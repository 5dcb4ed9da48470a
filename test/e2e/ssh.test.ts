import { spawn, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { buffer, text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { addressOf, IDENTITY_FILE, inside, onMachines } from '../support/cluster.ts';
import { createOperator, done, failed, PROGRAM, SLEEPER, service } from './operator.ts';
import { hasTerminals, Terminal } from './terminal.ts';

onMachines('fleetctl ssh', () => {
  const operator = createOperator();

  beforeAll(async () => {
    operator.write('web.service', SLEEPER);
    operator.write('agent.service', service('ExecStart=/bin/sleep 100000', 'Global=true'));
    operator.write('k2.service', SLEEPER);
    operator.write('idle.service', SLEEPER);
    await operator.fleetctl('submit', 'k2', 'idle');
    expect(await operator.fleetctl('start', 'web', 'agent')).toMatchObject({ status: 0 });
  });
  afterAll(() => operator.fleetctl('destroy', 'web', 'agent', 'k2', 'idle'));

  /** Runs fleetctl with standard input, and returns its exact output. */
  async function withInput(words: readonly string[], input: Buffer | string, env = {}) {
    const child = spawn(PROGRAM, ['ssh', ...words], {
      cwd: operator.folder,
      env: { ...operator.environment, ...env },
      timeout: 60_000,
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    const status = new Promise<number | null>((resolve) => child.on('close', resolve));
    const [stdout, stderr] = await Promise.all([buffer(child.stdout), text(child.stderr)]);
    return { status: await status, stdout, stderr };
  }

  describe('finds the machine', () => {
    it('by its name', async () => {
      expect(await operator.fleetctl('ssh', 'k1', 'hostname')).toEqual(done('k1\n'));
    });

    it('by its address', async () => {
      expect(await operator.fleetctl('ssh', addressOf('k3'), 'hostname')).toEqual(done('k3\n'));
    });

    it('by a prefix of its id, with dashes or without', async () => {
      const id = await inside('k3', 'cat /etc/machine-id');
      const uuid = `${id.slice(0, 8)}-${id.slice(8, 11)}`;
      expect(await operator.fleetctl('ssh', id.slice(0, 6), 'hostname')).toEqual(done('k3\n'));
      expect(await operator.fleetctl('ssh', '--machine', uuid, 'hostname')).toEqual(done('k3\n'));
    });

    it('by a unit on it', async () => {
      const { stdout } = await operator.fleetctl('ssh', 'web', 'systemctl', 'is-active', 'web');
      expect(stdout).toBe('active\n');
      expect(await operator.fleetctl('ssh', '--unit', 'web', 'true')).toEqual(done());
    });

    it('and reports an ambiguous word', async () => {
      expect(await operator.fleetctl('ssh', 'k2', 'true')).toEqual(
        failed(
          2,
          `Error: "k2" is ambiguous: machine k2 (00000000.../${addressOf('k2')}), or unit "k2.service"
hint: Use --machine k2 or --unit k2
`,
        ),
      );
      expect(await operator.fleetctl('ssh', '--machine', 'k2', 'hostname')).toEqual(done('k2\n'));
    });

    it('and lists the machines of a global unit', async () => {
      const { status, stderr } = await operator.fleetctl('ssh', 'agent', 'true');
      expect(status).toBe(2);
      expect(stderr).toMatch(
        /^Error: Unit "agent\.service" is on several machines: k1 .*, k2 .*, k3 .*\nhint: /,
      );
    });

    it('and reports a unit that is on no machine', async () => {
      expect(await operator.fleetctl('ssh', 'idle', 'true')).toEqual(
        failed(
          1,
          `Error: Unit "idle.service" is on no machine
hint: Start it first: fleetctl start idle.service
`,
        ),
      );
    });

    it.each([
      ['neither a machine nor a unit', ['nope'], 4, 'No such machine or unit: "nope"'],
      ['an id that no machine has', ['0123456789'], 4, 'No such machine or unit: "0123456789"'],
      ['no machine', ['--machine', 'web'], 4, 'No such machine: "web"'],
      ['no unit', ['--unit', 'k1'], 4, 'No such unit: "k1.service"'],
      ['both kinds at once', ['--unit', 'web', '--machine', 'k1'], 2, 'Cannot use --machine and --unit'],
      ['nothing', [], 2, 'Cannot log in: no machine or unit is given'],
    ])('and refuses %s', async (_, words, status, message) => {
      const outcome = await operator.fleetctl('ssh', ...words);
      expect(outcome).toMatchObject({ status, stdout: '' });
      expect(outcome.stderr).toContain(`Error: ${message}`);
    });
  });

  describe('runs a command', () => {
    it('and exits with its exit status', async () => {
      expect(await operator.fleetctl('ssh', 'k1', '--', 'sh', '-c', 'exit 7')).toEqual(failed(7, ''));
    });

    it('and exits with 128 plus the signal that ended it', async () => {
      expect(await operator.fleetctl('ssh', 'k1', 'kill -TERM $$')).toEqual(failed(143, ''));
    });

    it('with its arguments unchanged', async () => {
      const words = ['a b', "it's", '$HOME', '*', '', 'a\nb', '"', '\\', ';', '&', 'grüße'];
      const { stdout } = await operator.fleetctl('ssh', 'k1', 'printf', '<%s>', ...words);
      expect(stdout).toBe(words.map((word) => `<${word}>`).join(''));
    });

    it('of one word as a line of shell', async () => {
      expect(await operator.fleetctl('ssh', 'k1', 'printf "a\\nb\\n" | wc -l')).toEqual(done('2\n'));
    });

    it('with options that fleetctl also has', async () => {
      const outcome = await operator.fleetctl('ssh', 'k1', 'echo', '-n', '--config', 'x', '--help');
      expect(outcome).toEqual({ status: 0, stdout: '--config x --help', stderr: '' });
    });

    it('with exact input and output, and standard error apart', async () => {
      const sent = randomBytes(5_000_000);
      const { status, stdout, stderr } = await withInput(['k1', 'cat; echo oops >&2; exit 3'], sent);
      expect({ status, stderr }).toEqual({ status: 3, stderr: 'oops\n' });
      expect(digest(stdout)).toBe(digest(sent));
    });

    it('that does not read its input', async () => {
      const { status } = await withInput(['k1', 'true'], randomBytes(5_000_000));
      expect(status).toBe(0);
    });

    it('from standard input when none is given', async () => {
      const { status, stdout } = await withInput(['k1'], 'hostname; exit 9\n');
      expect({ status, stdout: String(stdout) }).toEqual({ status: 9, stdout: 'k1\n' });
    });

    it('on no machine that is unreachable', async () => {
      await inside('k3', 'systemctl stop sshd');
      try {
        const outcome = await operator.fleetctl('ssh', 'k3', 'true');
        expect(outcome).toMatchObject({ status: 5, stdout: '' });
        expect(outcome.stderr).toContain('Error: Cannot reach machine "k3"');
      } finally {
        await inside('k3', 'systemctl start sshd');
      }
    });

    it('with the keys of the local agent, when -A is given', async () => {
      const agent = spawnSync('ssh-agent', ['-s'], { encoding: 'utf8' }).stdout;
      const [, socket = ''] = /SSH_AUTH_SOCK=([^;]+)/.exec(agent) ?? [];
      const [, pid = ''] = /SSH_AGENT_PID=(\d+)/.exec(agent) ?? [];
      try {
        const env = { SSH_AUTH_SOCK: socket };
        spawnSync('ssh-add', ['-q', IDENTITY_FILE], { env: { ...process.env, ...env } });
        const listing = 'ssh-add -l | cut -d" " -f1';
        expect(String((await withInput(['-A', 'k1', listing], '', env)).stdout)).toBe('256\n');
        expect(String((await withInput(['k1', listing], '', env)).stdout)).toBe('');
      } finally {
        process.kill(Number(pid));
      }
    });

    it('with -A and no agent not at all', async () => {
      const { status, stderr } = await operator.fleetctl('ssh', '-A', 'k1', 'true');
      expect({ status, stderr }).toMatchObject({
        status: 2,
        stderr: expect.stringContaining('SSH_AUTH_SOCK is not set'),
      });
    });
  });

  describe('leaves no process', () => {
    it.each([
      ['Ctrl-C', 'SIGINT', 130],
      ['SIGTERM', 'SIGTERM', 143],
    ] as const)('after %s', async (_, signal, status) => {
      const mark = `60${status}`;
      const { process: child, ended } = operator.launch([
        'ssh',
        'k1',
        '--',
        'sh',
        '-c',
        `sleep ${mark} & wait`,
      ]);
      await vi.waitFor(async () => expect(await running('k1', mark)).toBe(true), { timeout: 20_000 });
      child.kill(signal);
      expect(await ended).toMatchObject({ status, stdout: '', stderr: '' });
      await vi.waitFor(async () => expect(await running('k1', mark)).toBe(false), { timeout: 20_000 });
    });

    it('when its output is closed', async () => {
      const line = `'${PROGRAM}' ssh k1 'echo one; sleep 1; echo two; exec sleep 6009' | head -1`;
      const { stdout } = spawnSync('/bin/sh', ['-c', line], {
        cwd: operator.folder,
        env: operator.environment,
        encoding: 'utf8',
        timeout: 60_000,
      });
      expect(stdout).toBe('one\n');
      await vi.waitFor(async () => expect(await running('k1', '6009')).toBe(false), { timeout: 20_000 });
    });
  });

  describe.skipIf(!hasTerminals)('in a terminal', () => {
    const open = (...words: string[]) =>
      new Terminal([PROGRAM, 'ssh', ...words], {
        cwd: operator.folder,
        env: { ...operator.environment, TERM: 'xterm-256color' },
      });

    it('logs in with TERM, the size of the window and its changes, and the exit status', async () => {
      const terminal = open('k1');
      terminal.type('echo "$TERM" at $(stty size) on $(hostname)\r');
      await terminal.shows(/xterm-256color at 40 100 on k1/);
      terminal.resize();
      terminal.type('sleep 0.2; echo now $(stty size)\r');
      await terminal.shows(/now 50 132/);
      terminal.type('exit 9\r');
      expect(await terminal.ended).toEqual({ status: 9, restored: true });
    });

    it('passes Ctrl-C to the remote command', async () => {
      const terminal = open('-t', 'k1', 'trap "echo caught; exit 4" INT; echo ready; sleep 30 & wait');
      await terminal.shows(/ready/);
      terminal.type('\x03');
      await terminal.shows(/caught/);
      expect(await terminal.ended).toEqual({ status: 4, restored: true });
    });

    it('runs a command without -t outside of it', async () => {
      const terminal = open('k1', 'tty; exit 3');
      await terminal.shows(/not a tty/);
      expect(await terminal.ended).toEqual({ status: 3, restored: true });
    });

    it('returns a signal as an exit status', async () => {
      const terminal = open('-t', 'k1', 'kill -KILL $$');
      expect(await terminal.ended).toEqual({ status: 137, restored: true });
    });

    it('restores it when the connection is lost', async () => {
      const terminal = open('-t', 'k1', 'echo ready; read -r line; kill -KILL $PPID; sleep 30');
      await terminal.shows(/ready/);
      terminal.type('\r');
      expect(await terminal.ended).toEqual({ status: 5, restored: true });
      expect(terminal.screen).toContain('Error: Lost machine "k1"');
    });

    it('restores it when a signal ends fleetctl, and closes the connection', async () => {
      const terminal = open('-t', 'k1', 'echo ready; sleep 6010');
      await terminal.shows(/ready/);
      terminal.kill('SIGTERM');
      expect(await terminal.ended).toEqual({ status: 143, restored: true });
      await vi.waitFor(async () => expect(await running('k1', '6010')).toBe(false), { timeout: 20_000 });
    });
  });
});

/** Whether a `sleep` of that many seconds runs on the machine. */
async function running(machine: string, seconds: string): Promise<boolean> {
  const script = 'for f in /proc/[0-9]*/cmdline; do tr "\\\\0" " " <$f 2>/dev/null || true; echo; done';
  return (await inside(machine, script)).split('\n').some((line) => line.trim() === `sleep ${seconds}`);
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
