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

  /** Takes everything away, also what a run that was killed has left. */
  async down() {
    await run([SCRIPT, 'down'], { env: this.#environment, outlivesInterruption: true });
  }
}
