import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Fleet, SLEEPER } from './fleet.js';
import { Fleetd } from './fleetd.js';
import { CannotRun, ENVIRONMENT, interruption, run } from './run.js';

const MACHINES = 100;
const UNITS = 1_000;
const MINUTE = 60_000;

/**
 * What many machines cost a controller. Each is a real SSH connection and a real shell that keeps real files, with a
 * stand-in for systemd behind it; a round is a minute in which nothing happens.
 */
export async function crowd({ folder }, rounds) {
  const crowded = new Crowd(join(folder, 'crowd'));
  const fleet = new Fleet(join(folder, 'crowd-fleet'), crowded);
  let fleetd;
  try {
    await crowded.open();
    await fleet.build();
    fleet.configure();
    const units = Array.from({ length: UNITS }, (_, index) => `u@${index + 1}.service`);
    await run(fleet.command('submit', fleet.writeUnit('u@.service', SLEEPER)));
    const start = await run(crowded.inside(fleet.command('start', ...units)));
    fleetd = await Fleetd.start(crowded.inside(fleet.commandOf('fleetd', '30s')), fleet.socket);
    // The first minute has logins in it.
    await pause(MINUTE);
    const used = [];
    for (let round = 0; round < rounds; round++) {
      const before = fleetd.cpu;
      await pause(MINUTE);
      used.push(fleetd.cpu - before);
    }
    const listed = await run(
      fleet.commandOf('fleetctl', '30s', 'list-units', '--no-legend', '--endpoint', `unix://${fleet.socket}`),
    );
    const running = listed.stdout.match(/ {2}active {2}running$/gm)?.length;
    if (running !== UNITS) throw new Error(`${running} units run, not ${UNITS}`);
    return {
      title: `CPU time of fleetd in a minute of idling, ${UNITS} units on ${MACHINES} machines, agent_ttl 30 s`,
      results: [{ name: 'fleetd', times: used }],
      notes: [
        `fleetd has ${fleetd.memory.toFixed(0)} MiB`,
        `fleetctl start of all units took ${(start.ms / 1000).toFixed(1)} s`,
        `fleetctl list-units through fleetd took ${listed.ms.toFixed(0)} ms`,
      ],
    };
  } finally {
    await fleetd?.stop();
    await crowded.close();
  }
}

/** Pretended machines c1, c2, … behind one SSH server, in a network of its own that has nothing but a loopback. */
class Crowd {
  #folder;
  #server;

  constructor(folder) {
    this.#folder = folder;
    this.identityFile = join(folder, 'id');
    this.knownHostsFile = join(folder, 'known_hosts');
    this.machines = Array.from({ length: MACHINES }, (_, index) => ({
      name: `c${index + 1}`,
      host: `127.78.${Math.floor(index / 250)}.${(index % 250) + 1}`,
      port: '22',
    }));
  }

  async open() {
    if (process.getuid?.() !== 0) throw new CannotRun('this must run as root: sudo npm run bench');
    for (const { host } of this.machines) this.#makeMachine(host);
    for (const key of ['id', 'host'])
      await run(['ssh-keygen', '-qt', 'ed25519', '-N', '', '-f', join(this.#folder, key)]);
    const [type, key] = readFileSync(join(this.#folder, 'host.pub'), 'utf8').split(' ');
    writeFileSync(this.knownHostsFile, `127.78.* ${type} ${key}\n`);
    const { stdout } = await run(['sh', '-c', 'PATH=$PATH:/usr/sbin; command -v sshd']).catch(() => {
      throw new CannotRun('there is no sshd: install openssh-server');
    });
    this.#server = spawn(
      'unshare',
      [
        '--net',
        'sh',
        '-c',
        'ip link set lo up && exec "$@"',
        'sh',
        stdout.trim(),
        '-D',
        '-f',
        this.#settings(),
      ],
      { env: ENVIRONMENT, stdio: 'ignore', detached: true },
    );
    await run(
      this.inside([
        'sh',
        '-c',
        'for try in $(seq 100); do ! ss -ltn | grep -q :22 || exit 0; sleep 0.1; done; exit 1',
      ]),
    );
  }

  /** A command, from where the machines can be reached. */
  inside(command) {
    return ['nsenter', `--net=/proc/${this.#server.pid}/ns/net`, ...command];
  }

  async close() {
    if (this.#server === undefined) return;
    const ended = new Promise((resolve) => this.#server.once('exit', resolve));
    this.#server.kill('SIGTERM');
    await ended;
  }

  #makeMachine(host) {
    const path = (name) => join(this.#folder, 'machines', host, name);
    for (const name of ['units', 'lib', 'run/systemd/units']) mkdirSync(path(name), { recursive: true });
    writeFileSync(path('machine-id'), `${randomBytes(16).toString('hex')}\n`);
  }

  #settings() {
    const path = join(this.#folder, 'sshd_config');
    const machine = new URL('crowd/machine.sh', import.meta.url).pathname;
    const lines = [
      'ListenAddress 0.0.0.0',
      `HostKey ${join(this.#folder, 'host')}`,
      `AuthorizedKeysFile ${this.identityFile}.pub`,
      `ForceCommand ${machine} ${join(this.#folder, 'machines')}`,
      'PermitRootLogin yes',
      'StrictModes no',
      'UsePAM no',
      'PidFile none',
      `MaxStartups ${2 * MACHINES}`,
    ];
    writeFileSync(path, `${lines.join('\n')}\n`);
    return path;
  }
}

function pause(ms) {
  return sleep(ms, undefined, { signal: interruption.signal });
}
