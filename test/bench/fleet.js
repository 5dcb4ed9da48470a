import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CannotRun, run } from './run.js';

export const ROOT = new URL('../..', import.meta.url).pathname;

export const SLEEPER = '[Service]\nExecStart=/bin/sleep 1000000\n';

/** These units run on every machine when lists are measured. */
export const UNITS = ['everywhere@1', 'everywhere@2', 'everywhere@3', 'everywhere@4'].map(
  (name) => `${name}.service`,
);

/**
 * Keys of fleet.conf; `through` is the cluster whose machines are reached, if it is not the one of the bench.
 *
 * @typedef {Readonly<Record<string, string>> & { readonly through?: import('./cluster.js').Cluster }} Settings
 */

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
    this.socket = join(folder, 'fleet.sock');
    this.endpoint = `unix://${this.socket}`;
  }

  /** Builds the source in a folder where no other build replaces it during the run. */
  async build() {
    const config = join(ROOT, 'src/rolldown.config.js');
    await run([bundler(), '--config', config, '--dir', join(this.#folder, 'dist')]);
    cpSync(join(ROOT, 'bin'), join(this.#folder, 'bin'), { recursive: true });
  }

  /** Builds decide.ts and returns its path. */
  async buildDecide() {
    const source = join(ROOT, 'test/bench/decide.ts');
    const folder = join(this.#folder, 'decide');
    await run([bundler(), source, '--format', 'esm', '--platform', 'node', '--dir', folder]);
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    return join(folder, 'decide.js');
  }

  /** Starts UNITS on all machines that the cluster has now. */
  async useMachines() {
    const template = this.writeUnit('everywhere@.service', `${SLEEPER}\n[X-Fleet]\nGlobal=true\n`);
    await run(this.command('submit', template));
    await run(this.command('start', ...UNITS));
  }

  /** The command line of a verb. */
  command(...words) {
    return this.commandWith({}, ...words);
  }

  /** The same with settings. @param {Settings} settings */
  commandWith(settings, ...words) {
    return [this.program, '--config', this.conf(settings), ...words];
  }

  /** Moves the registry from its folder to the machines, or back. @param {'machines' | 'file'} to */
  async moveRegistry(to, cluster) {
    const folder = join(this.#folder, 'registry');
    const places = [`file:${folder}`, 'machines'];
    if (to === 'file') rmSync(folder, { recursive: true });
    const words = to === 'file' ? places.toReversed() : places;
    await run(this.commandWith({ registry: 'machines' }, 'registry', 'copy', ...words));
    if (to === 'machines') return;
    for (const { name } of cluster.machines)
      await cluster.runVerb('exec', name, 'rm', '-rf', '/var/lib/fleet/registry');
  }

  /** The command line of fleetd, which listens on `socket`. @param {Settings} settings */
  controllerWith(settings) {
    const conf = this.conf({ ...settings, listen: this.endpoint });
    return [join(this.#folder, 'bin/fleetd'), '--config', conf];
  }

  /** Writes a unit file, whose name may have folders, and returns its path. */
  writeUnit(name, text) {
    const path = join(this.#folder, 'units', name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  }

  /** Writes a fleet.conf for the machines that the cluster has now, and returns its path. @param {Settings} settings */
  conf({ through = this.#cluster, ...top } = {}) {
    const { identityFile, knownHostsFile, machines } = through;
    const ssh = `user = root\nidentity_file = ${identityFile}\nknown_hosts_file = ${knownHostsFile}\n`;
    const sections = machines.map(({ name, host, port, near }) => {
      const address = port === '22' ? host : `${host}:${port}`;
      const lines =
        near === undefined ? `address = ${address}\n` : `address = ${near}\nconnect_to = ${address}\n`;
      return `[machine.${name}]\n${lines}`;
    });
    const settings = Object.entries({ registry: 'file:registry', ...top }).map(
      ([key, value]) => `${key} = ${value}\n`,
    );
    const name = Object.entries(top).map(([key, value]) => `${key}-${value}`.replaceAll(/\W+/g, '-'));
    const path = join(
      this.#folder,
      `${[through === this.#cluster ? 'near' : 'far', ...name].join('.')}.conf`,
    );
    writeFileSync(path, [settings.join(''), `[ssh]\n${ssh}`, ...sections].join('\n'));
    return path;
  }
}

function bundler() {
  const program = join(ROOT, 'node_modules/.bin/rolldown');
  if (!existsSync(program)) throw new CannotRun('rolldown is missing: run "npm ci" first');
  return program;
}
