import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError, run } from './run.js';

/** The key exchange of fleetctl, which is quicker than the first choice of OpenSSH. */
const QUICK = ['-o', 'KexAlgorithms=curve25519-sha256'];

/** Command lines to compare with: OpenSSH and clush with their defaults. */
export class Baselines {
  #cluster;

  /** @param {Pick<import('./cluster.js').Cluster, 'folder' | 'identityFile' | 'knownHostsFile' | 'machines'>} cluster */
  constructor(cluster) {
    this.#cluster = cluster;
  }

  /** `ssh HOST COMMAND` on the first machine. */
  ssh(...command) {
    const [{ host, port }] = this.#cluster.machines;
    return ['ssh', ...this.#options, '-p', port, `root@${host}`, ...command];
  }

  /** The same on all machines in parallel, from a shell; fails when one of them fails. */
  sshEverywhere(isQuick, ...command) {
    const options = [...this.#options, ...(isQuick ? QUICK : [])];
    const lines = this.#cluster.machines.map(
      ({ host, port }) =>
        `${['ssh', ...options, '-p', port, `root@${host}`, ...command].join(' ')} & pids="$pids $!"`,
    );
    return ['sh', '-c', `${lines.join('\n')}\nfor pid in $pids; do wait "$pid" || exit; done`];
  }

  /** clush on all machines, with its default fanout; fails when a command fails. */
  clush(...command) {
    const hosts = this.#cluster.machines.map(({ host }) => host).join(',');
    const [{ port }] = this.#cluster.machines;
    const options = [...this.#options, '-p', port].join(' ');
    return ['clush', '-S', '-l', 'root', '-w', hosts, '-o', options, ...command];
  }

  /** Copies a unit file, reloads systemd and starts the unit, with three commands on one machine. */
  copyReloadStart(isQuick, path, unit) {
    const [{ host, port }] = this.#cluster.machines;
    const options = [...this.#options, ...(isQuick ? QUICK : [])];
    const ssh = ['ssh', ...options, '-p', port, `root@${host}`, 'systemctl'];
    const copy = ['scp', '-q', ...options, '-P', port, path, `root@${host}:/etc/systemd/system/`];
    const steps = [copy, [...ssh, 'daemon-reload'], [...ssh, 'start', unit]];
    return ['sh', '-c', steps.map((words) => words.join(' ')).join(' && ')];
  }

  /**
   * ansible-playbook --check of a playbook that copies files to `target` on each machine, with pipelining. The playbook, the
   * inventory and the output are written to `folder`.
   *
   * @param {string} folder absolute
   * @param {readonly (readonly string[])[]} files for each machine
   */
  ansible(folder, files, target) {
    const write = (name, text) => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const hosts = this.#cluster.machines.map(({ name, host, port }, index) => [
      name,
      { ansible_host: host, ansible_port: port, files: files[index] },
    ]);
    const vars = {
      ansible_user: 'root',
      ansible_python_interpreter: '/usr/bin/python3',
      // A master that stays would keep the last round waiting.
      ansible_ssh_args: [...this.#options, '-o', 'ControlMaster=auto', '-o', 'ControlPersist=5s'].join(' '),
    };
    const inventory = write(
      'hosts.json',
      JSON.stringify({ all: { hosts: Object.fromEntries(hosts), vars } }),
    );
    const copy = { src: '{{ item }}', dest: target, mode: '0644' };
    const task = { copy, loop: '{{ files }}', no_log: true };
    const play = [{ hosts: 'all', gather_facts: false, tasks: [task] }];
    const playbook = write('playbook.json', JSON.stringify(play));
    const settings = ['ANSIBLE_PIPELINING=true', 'ANSIBLE_HOST_KEY_CHECKING=true', `HOME=${folder}`];
    const words = ['env', ...settings, 'ansible-playbook', '--check', '-i', inventory, playbook];
    // The master inherits the output.
    return [
      'sh',
      '-c',
      `"$@" >${folder}/output 2>&1; status=$?; cat ${folder}/output; exit $status`,
      'sh',
      ...words,
    ];
  }

  /** A connection of ssh that later commands share (ControlMaster). */
  get master() {
    const withOptions = (options, words) =>
      this.ssh(...words).toSpliced(1, 0, '-o', `ControlPath=${this.#cluster.folder}/master`, ...options);
    return {
      command: (...words) => withOptions([], words),
      // Its output would keep the bench waiting.
      open: () =>
        run([
          'sh',
          '-c',
          '"$@" >/dev/null 2>&1',
          'sh',
          ...withOptions(['-f', '-N', '-o', 'ControlMaster=yes'], []),
        ]),
      close: () =>
        run(withOptions(['-O', 'exit'], []), { outlivesInterruption: true }).catch(() => undefined),
    };
  }

  /** Ignores the SSH configuration of the box, and asks no questions. */
  get #options() {
    const { identityFile, knownHostsFile } = this.#cluster;
    const settings = [`UserKnownHostsFile=${knownHostsFile}`, 'IdentitiesOnly=yes', 'BatchMode=yes'];
    return ['-F', 'none', '-i', identityFile, ...settings.flatMap((setting) => ['-o', setting])];
  }
}

/**
 * Installs a program from a package of Debian, if it is missing. Returns the reason if that fails.
 *
 * @param {(line: string) => void} say
 */
export async function installProgram(program, source, say) {
  if (await succeeds(program, '--version')) return undefined;
  say(`installing with apt-get: ${source}`);
  const options = ['--yes', '--no-install-recommends', '--no-remove'];
  const install = ['apt-get', '-q', 'install', ...options, source];
  if (await succeeds(...install)) return undefined;
  if ((await succeeds('apt-get', '-q', 'update')) && (await succeeds(...install))) return undefined;
  return `${program} is left out: apt-get could not install ${source}`;
}

async function succeeds(...words) {
  try {
    await run(words, { env: { DEBIAN_FRONTEND: 'noninteractive' } });
    return true;
  } catch (error) {
    if (error instanceof CommandError) return false;
    throw error;
  }
}
