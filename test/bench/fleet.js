import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CannotRun, run } from './run.js';

const ROOT = new URL('../..', import.meta.url).pathname;

export const SLEEPER = '[Service]\nExecStart=/bin/sleep 1000000\n';

/** These units run on every machine when lists are measured. */
export const UNITS = ['everywhere@1', 'everywhere@2', 'everywhere@3', 'everywhere@4'].map(
  (name) => `${name}.service`,
);

/** fleetctl, its registry and its fleet.conf for machines of the cluster. */
export class Fleet {
  #cluster;
  #folder;

  /**
   * @param {string} folder absolute
   * @param {import('./cluster.js').Cluster} cluster
   */
  constructor(folder, cluster) {
    this.#folder = folder;
    this.#cluster = cluster;
    this.program = join(folder, 'bin/fleetctl');
  }

  /** Builds the source in a folder where no other build replaces it during the run. */
  async build() {
    const bundler = join(ROOT, 'node_modules/.bin/rolldown');
    if (!existsSync(bundler)) throw new CannotRun('rolldown is missing: run "npm ci" first');
    const config = join(ROOT, 'src/rolldown.config.js');
    await run([bundler, '--config', config, '--dir', join(this.#folder, 'dist')]);
    cpSync(join(ROOT, 'bin'), join(this.#folder, 'bin'), { recursive: true });
  }

  /** Configures the current machines of the cluster, and starts UNITS on all of them. */
  async useMachines() {
    this.#writeConf('fleet.conf', '');
    this.#writeConf('unsettled.conf', 'settle = 0ms\n');
    const template = this.writeUnit('everywhere@.service', `${SLEEPER}\n[X-Fleet]\nGlobal=true\n`);
    await run(this.command('submit', template));
    await run(this.command('start', ...UNITS));
  }

  /** The command line of a verb. */
  command(...words) {
    return [this.program, '--config', join(this.#folder, 'fleet.conf'), ...words];
  }

  /** The same, with a started unit counted as up at once. */
  commandWithoutSettling(...words) {
    return [this.program, '--config', join(this.#folder, 'unsettled.conf'), ...words];
  }

  /** The same with a fleet.conf for a controller that listens on `socket`. */
  commandOf(program, agentTtl, ...words) {
    const name = `ttl-${agentTtl}.conf`;
    this.#writeConf(name, `listen = unix://${this.socket}\nagent_ttl = ${agentTtl}\n`);
    return [join(this.#folder, 'bin', program), '--config', join(this.#folder, name), ...words];
  }

  get socket() {
    return join(this.#folder, 'fleet.sock');
  }

  /** Writes a unit file and returns its path. */
  writeUnit(name, text) {
    const path = join(this.#folder, 'units', name);
    mkdirSync(join(this.#folder, 'units'), { recursive: true });
    writeFileSync(path, text);
    return path;
  }

  #writeConf(name, top) {
    const { identityFile, knownHostsFile, machines } = this.#cluster;
    const ssh = `user = root\nidentity_file = ${identityFile}\nknown_hosts_file = ${knownHostsFile}\n`;
    const sections = machines.map(({ name, host, port }) => {
      const address = port === '22' ? host : `${host}:${port}`;
      return `[machine.${name}]\naddress = ${address}\n`;
    });
    const text = [`registry = file:registry\n${top}`, `[ssh]\n${ssh}`, ...sections].join('\n');
    writeFileSync(join(this.#folder, name), text);
  }
}
