import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError, run } from './run.js';

const SCRIPT = new URL('../../examples/cluster/cluster', import.meta.url).pathname;

/** Machines b1, b2, … of our own: another folder, other addresses and other names than any other cluster's. */
export class Cluster {
  #environment;

  /** @param {string} folder absolute; everything of the cluster is below it */
  constructor(folder) {
    this.folder = folder;
    this.identityFile = join(folder, 'id_ed25519');
    this.knownHostsFile = join(folder, 'known_hosts');
    /** @type {readonly { name: string, host: string, port: string }[]} */
    this.machines = [];
    this.#environment = {
      FLEET_CLUSTER_DIR: folder,
      FLEET_CLUSTER_SUBNET: '127.75.0',
      FLEET_CLUSTER_PREFIX: 'b',
    };
  }

  /** Why this box cannot run machines, in a sentence; undefined when it can. */
  async obstacle() {
    if (process.getuid?.() !== 0)
      return 'this must run as root, because it starts machines: sudo npm run bench';
    try {
      await run([SCRIPT, 'check'], { env: this.#environment });
      return undefined;
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      return error.said.replace(/^cluster: /, '');
    }
  }

  /**
   * Grows the cluster to so many machines. Returns what a person should know: packages installed, limits raised.
   *
   * @param {number} count
   */
  async grow(count) {
    const { stderr } = await run([SCRIPT, 'up', `${count}`], { env: this.#environment });
    const { stdout } = await run([SCRIPT, 'status'], { env: this.#environment });
    this.machines = stdout
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => {
        const [name, address] = line.split(/ +/);
        const [host, port = '22'] = address.split(':');
        return { name, host, port };
      });
    return stderr.split('\n').filter((line) => line !== '' && !/^b\d+ |^try it/.test(line));
  }

  /** One verb of the cluster script for a machine: `kill`, `start`. */
  async tell(verb, machine) {
    await run([SCRIPT, verb, machine], { env: this.#environment });
  }

  /** The CPU time that all machines together have used so far, in ms, by the kernel's account. */
  get cpu() {
    const usages = this.machines.map(({ name }) => readFileSync(`${this.#cgroupOf(name)}/cpu.stat`, 'utf8'));
    return usages.reduce((sum, usage) => sum + Number(/^usage_usec (\d+)/.exec(usage)?.[1]) / 1000, 0);
  }

  /** The names of the machines on which a service has processes, by the kernel's account: nobody is asked for that. */
  whereRuns(service) {
    return this.machines
      .map(({ name }) => name)
      .filter((name) => {
        try {
          const path = `${this.#cgroupOf(name)}/payload/system.slice/${service}/cgroup.events`;
          return readFileSync(path, 'utf8').includes('populated 1');
        } catch {
          return false;
        }
      });
  }

  /** As the cluster script names it. */
  #cgroupOf(machine) {
    const id = createHash('md5').update(this.folder).digest('hex').slice(0, 8);
    const mounts = readFileSync('/proc/mounts', 'utf8').split('\n');
    const [, path] = mounts.map((line) => line.split(' ')).find(([, , type]) => type === 'cgroup2') ?? [];
    return join(path ?? '/sys/fs/cgroup', `fleet-cluster-${id}`, machine);
  }

  /** Takes everything away, also what a run that was killed has left. */
  async down() {
    await run([SCRIPT, 'down'], { env: this.#environment, outlivesInterruption: true });
  }
}
