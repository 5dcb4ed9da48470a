import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError, run } from './run.js';

const SCRIPT = new URL('../../examples/cluster/cluster', import.meta.url).pathname;

/** Machines b1, b2, … with a folder, addresses and names that no other cluster uses. */
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

  /** The reason why this box cannot run machines, or undefined. */
  async obstacle() {
    if (process.getuid?.() !== 0)
      return 'this must run as root, because it starts machines: sudo npm run bench';
    try {
      await run([SCRIPT, 'check'], { env: this.#environment });
      return undefined;
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      return error.output.replace(/^cluster: /, '');
    }
  }

  /**
   * Grows the cluster to so many machines. Returns messages, such as installed packages and raised limits.
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
    return stderr.split('\n').filter((line) => line !== '' && !/^b\d+ |^next: /.test(line));
  }

  /** Runs a verb of the cluster script for a machine: `kill`, `start`, `exec` with a command. */
  async runVerb(verb, machine, ...command) {
    await run([SCRIPT, verb, machine, ...command], { env: this.#environment });
  }

  /** The total CPU time of all machines so far, in ms, also of those that were switched off. */
  get cpu() {
    return this.cpuOf('.');
  }

  /** The same of one machine. */
  cpuOf(name) {
    const path = join(this.#cgroup, name, 'cpu.stat');
    return existsSync(path) ? Number(/^usage_usec (\d+)/.exec(readFileSync(path, 'utf8'))?.[1]) / 1000 : 0;
  }

  /** How many instances of a template have a cgroup. */
  instancesRunning(template) {
    const counts = this.machines.map(({ name }) => {
      const slice = join(this.#cgroup, name, `payload/system.slice/system-${template}.slice`);
      return existsSync(slice) ? readdirSync(slice).filter((unit) => unit.endsWith('.service')).length : 0;
    });
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** The machines on which a service has processes, from their cgroups, because a query would use CPU time. */
  machinesRunning(service) {
    return this.machines
      .map(({ name }) => name)
      .filter((name) => {
        try {
          const [, slice = ''] = /^(.*)@/.exec(service)?.map((template) => `system-${template}.slice`) ?? [];
          const path = join(this.#cgroup, name, 'payload/system.slice', slice, service, 'cgroup.events');
          return readFileSync(path, 'utf8').includes('populated 1');
        } catch {
          return false;
        }
      });
  }

  /** The cluster script uses the same name. */
  get #cgroup() {
    const id = createHash('md5').update(this.folder).digest('hex').slice(0, 8);
    const mounts = readFileSync('/proc/mounts', 'utf8').split('\n');
    const [, path] = mounts.map((line) => line.split(' ')).find(([, , type]) => type === 'cgroup2') ?? [];
    return join(path ?? '/sys/fs/cgroup', `fleet-cluster-${id}`);
  }

  /** Removes everything, also the remains of a killed run. */
  async down() {
    await run([SCRIPT, 'down'], { env: this.#environment, outlivesInterruption: true });
  }
}
