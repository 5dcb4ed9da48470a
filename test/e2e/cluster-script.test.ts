import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const SCRIPT = new URL('../../examples/cluster/cluster', import.meta.url).pathname;
// Every run uses one folder, so a run also removes what a killed run left.
const FOLDER = join(tmpdir(), 'fleet-cluster-script');
const ID = createHash('md5').update(FOLDER).digest('hex').slice(0, 8);
const ENV = {
  ...process.env,
  FLEET_CLUSTER_DIR: FOLDER,
  FLEET_CLUSTER_SUBNET: '127.78.0',
  FLEET_CLUSTER_PREFIX: 'box',
  FLEET_CLUSTER_PORT: '2277',
};

// setup.ts prints why this box cannot run machines.
describe.skipIf(cluster('check').status !== 0)('examples/cluster', () => {
  beforeAll(() => {
    succeed('down');
    succeed('up', '2');
  });
  afterAll(() => {
    cluster('down');
  });

  test('up starts machines whose SSH servers answer and whose systemd has reached multi-user', async () => {
    expect(states()).toEqual({ box1: 'running', box2: 'running' });
    expect(await portState('127.78.0.1')).toBe('greets');
    expect(await portState('127.78.0.2')).toBe('greets');
    expect(ssh('root', '127.78.0.2', 'hostname; systemctl is-active multi-user.target')).toBe('box2\nactive');
  });

  test('a second up changes nothing, and up with a larger number adds machines', () => {
    const bootIds = ['box1', 'box2'].map(bootId);
    expect(succeed('up', '2').stderr).toContain('box1 is already running');
    expect(succeed('up', '3').stderr).toContain('box3 is up');
    expect(['box1', 'box2'].map(bootId)).toEqual(bootIds);
    expect(states()).toEqual({ box1: 'running', box2: 'running', box3: 'running' });
  });

  test('fleet.conf and known_hosts name every machine with its true host key', () => {
    succeed('up', '2');
    const conf = readFileSync(succeed('conf').stdout.trim(), 'utf8');
    expect(conf).toContain('[machine.box2]\naddress = 127.78.0.2:2277\nmetadata = role=db,region=a\n');
    const key = succeed(
      'exec',
      'box2',
      'sh',
      '-c',
      "cut -d ' ' -f 1,2 /etc/ssh/ssh_host_ed25519_key.pub",
    ).stdout;
    expect(readFileSync(`${FOLDER}/known_hosts`, 'utf8')).toContain(`[127.78.0.2]:2277 ${key}`);
  });

  test('core may use sudo, plain may not', () => {
    expect(ssh('core', '127.78.0.1', 'sudo -n id -u')).toBe('0');
    expect(() => ssh('plain', '127.78.0.1', 'sudo -n id -u')).toThrow(/password is required/);
  });

  test('exec passes output and exit status through', () => {
    const run = cluster('exec', 'box1', 'sh', '-c', 'echo out; echo err >&2; exit 7');
    expect(run).toMatchObject({ status: 7, stdout: 'out\n', stderr: 'err\n' });
  });

  test('kill is a power loss, and reboot keeps the disk but not /run', async () => {
    const before = bootId('box1');
    succeed('exec', 'box1', 'sh', '-c', 'echo kept >/var/lib/note; echo lost >/run/note');
    succeed('kill', 'box1');
    expect(states().box1).toBe('stopped');
    expect(await portState('127.78.0.1')).toBe('refuses');
    succeed('reboot', 'box1');
    expect(states().box1).toBe('running');
    expect(await portState('127.78.0.1')).toBe('greets');
    expect(succeed('exec', 'box1', 'cat', '/var/lib/note').stdout).toBe('kept\n');
    expect(cluster('exec', 'box1', 'cat', '/run/note').status).toBe(1);
    expect(bootId('box1')).not.toBe(before);
  });

  test('reboot of a running machine shuts it down in order', () => {
    succeed(
      'exec',
      'box1',
      'systemd-run',
      '--unit=last',
      '-p',
      'ExecStop=/bin/touch /var/lib/stopped',
      'sleep',
      'infinity',
    );
    succeed('reboot', 'box1');
    expect(cluster('exec', 'box1', 'test', '-e', '/var/lib/stopped').status).toBe(0);
  });

  test('hang freezes every process, also one that forks all the time, and resume thaws them', async () => {
    const fork = 'while :; do echo >>/var/lib/ticks; /bin/true; done';
    succeed('exec', 'box2', 'systemd-run', '--unit=forks', 'sh', '-c', fork);
    succeed('hang', 'box2');
    expect(states().box2).toBe('hung');
    expect(await portState('127.78.0.2')).toBe('no banner');
    const ticks = ticksOf('box2');
    await pause(200);
    expect(ticksOf('box2')).toBe(ticks);
    succeed('resume', 'box2');
    expect(states().box2).toBe('running');
    expect(await portState('127.78.0.2')).toBe('greets');
    succeed('exec', 'box2', 'systemctl', 'stop', 'forks');
    expect(ticksOf('box2')).toBeGreaterThan(ticks);
  });

  test('cut drops packets and changes nothing else, and heal lets them pass', async () => {
    succeed('cut', 'box2');
    expect(states()).toMatchObject({ box1: 'running', box2: 'cut' });
    expect(await portState('127.78.0.2')).toBe('no reply');
    expect(await portState('127.78.0.1')).toBe('greets');
    expect(succeed('exec', 'box2', 'systemctl', 'is-active', 'sshd').stdout).toBe('active\n');
    succeed('heal', 'box2');
    expect(states().box2).toBe('running');
    expect(await portState('127.78.0.2')).toBe('greets');
  });

  test('fill makes the disk full, and unfill makes room again', () => {
    succeed('fill', 'box1');
    for (const folder of ['/etc/systemd/system', '/var/lib']) {
      expect(cluster('exec', 'box1', 'cp', '/bin/true', folder).stderr).toContain('No space left on device');
    }
    succeed('unfill', 'box1');
    expect(cluster('exec', 'box1', 'cp', '/bin/true', '/var/lib').status).toBe(0);
  });

  test('a usage error prints one line and exits with status 2, an impossible request with 1', () => {
    expect(cluster('up', '101')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('from 1 to 100: 101'),
    });
    expect(cluster('explode')).toMatchObject({ status: 2, stderr: expect.stringContaining('"explode"') });
    expect(cluster('kill', 'box9')).toMatchObject({ status: 1, stderr: expect.stringContaining('"box9"') });
  });

  test('down leaves no process, mount, cgroup, packet rule or folder, and can be repeated', () => {
    succeed('cut', 'box2');
    succeed('hang', 'box1');
    expect(remains()).not.toEqual([]);
    succeed('down');
    expect(remains()).toEqual([]);
    succeed('down');
  });

  test('an up that was killed half-way is completed by the next up, or removed by down', async () => {
    succeed('down');
    for (const next of ['up', 'down'] as const) {
      const first = spawn(SCRIPT, ['up', '4'], { env: ENV, stdio: 'ignore' });
      await appears(`${FOLDER}/machines/box2`);
      await killed(first);
      if (next === 'up') {
        succeed('up', '4');
        expect(Object.values(states())).toEqual(['running', 'running', 'running', 'running']);
      }
      succeed('down');
      expect(remains()).toEqual([]);
    }
  });
});

function cluster(...args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(SCRIPT, args, { env: ENV, encoding: 'utf8', timeout: 300_000 });
}

function succeed(...args: readonly string[]): { stdout: string; stderr: string } {
  const run = cluster(...args);
  expect(run.status, `cluster ${args.join(' ')}: ${run.stderr}`).toBe(0);
  return run;
}

/** The state of each machine, from `status`. */
function states(): Record<string, string> {
  const [, ...rows] = succeed('status').stdout.trim().split('\n');
  return Object.fromEntries(rows.map((row) => row.split(/\s+/)).map(([name, , state]) => [name, state]));
}

function bootId(machine: string): string {
  return succeed('exec', machine, 'cat', '/proc/sys/kernel/random/boot_id').stdout;
}

function ssh(user: string, address: string, command: string): string {
  const options = [
    '-p',
    '2277',
    '-i',
    `${FOLDER}/id_ed25519`,
    '-o',
    `UserKnownHostsFile=${FOLDER}/known_hosts`,
  ];
  const flags = ['-F', 'none', '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=yes'];
  return execFileSync('ssh', [...options, ...flags, `${user}@${address}`, command], {
    encoding: 'utf8',
    stdio: 'pipe',
  }).trim();
}

/** What a TCP client gets: a banner, a connection without one (hung machine), a refusal (dead machine), or no reply (cut off). */
type PortState = 'greets' | 'no banner' | 'refuses' | 'no reply';

function portState(address: string): Promise<PortState> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port: 2277 });
    let open = false;
    const answer = (state: PortState) => {
      socket.destroy();
      resolve(state);
    };
    socket.setTimeout(1500, () => answer(open ? 'no banner' : 'no reply'));
    socket.once('connect', () => {
      open = true;
    });
    socket.once('data', (banner) =>
      answer(banner.toString().startsWith('SSH-2.0-') ? 'greets' : 'no banner'),
    );
    socket.once('error', () => answer('refuses'));
  });
}

/** How often the unit `forks` has forked. It is read from outside, because nothing inside a hung machine can answer. */
function ticksOf(machine: string): number {
  return statSync(`${FOLDER}/machines/${machine}/disk/var/lib/ticks`).size;
}

/** The `stat` line of every living process in a cgroup whose path contains `part`. */
function processes(part: string): string[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const dead = /^\d+ \(.*\) [ZX] /s.test(stat);
      return !dead && readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(part) ? [stat] : [];
    } catch {
      return [];
    }
  });
}

/** Everything of this cluster that is still on the box. */
function remains(): string[] {
  const name = `fleet-cluster-${ID}`;
  const tables = execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' }).split('\n');
  const folders = execFileSync('find', ['/sys/fs/cgroup', '/run/systemd/nspawn', '-name', `${name}*`], {
    encoding: 'utf8',
  });
  return [
    ...processes(name),
    ...readFileSync('/proc/mounts', 'utf8')
      .split('\n')
      .filter((line) => line.includes(name) || line.includes(FOLDER)),
    ...folders.trim().split('\n').filter(Boolean),
    ...tables.filter((line) => line.includes(ID)),
    ...(existsSync(FOLDER) ? [FOLDER] : []),
  ];
}

async function appears(path: string): Promise<void> {
  for (let tries = 0; tries < 2000 && !existsSync(path); tries++) await pause(5);
  expect(existsSync(path)).toBe(true);
}

/** Sends SIGKILL to the script alone. */
function killed(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve) => {
    child.once('exit', resolve);
    child.kill('SIGKILL');
  });
}
