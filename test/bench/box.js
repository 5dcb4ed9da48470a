import { readFileSync } from 'node:fs';
import { availableParallelism, release, totalmem } from 'node:os';
import { childrenCpu, TICK } from './compare.js';
import { run } from './run.js';

/** The machine and the programs of a run, in one line. */
export async function describeBox() {
  const [, model = 'unknown processor'] =
    /^model name\s*: (.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8')) ?? [];
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  const systemd = /^systemd (\d+)/.exec((await run(['systemctl', '--version'])).stdout)?.[1];
  const { stdout, stderr } = await run(['ssh', '-V']);
  const ssh = /^[^, ]+/.exec(`${stdout}${stderr}`)?.[0].replace('_', ' ');
  const cores = `${availableParallelism()} cores`;
  return `${model}, ${cores}, ${memory}; Linux ${release()}, Node ${process.version}, systemd ${systemd}, ${ssh}`;
}

/** Measures how much of the CPU time of the box other processes use. */
export class OtherLoad {
  #cluster;
  #begin;

  /** @param {import('./cluster.js').Cluster} cluster */
  constructor(cluster) {
    this.#cluster = cluster;
    this.#begin = this.#now();
  }

  /** The share since the beginning, from 0 to 1. Processes of the bench that have not ended count as others. */
  get share() {
    const { all, busy, own } = this.#now();
    return Math.max(0, busy - this.#begin.busy - (own - this.#begin.own)) / (all - this.#begin.all);
  }

  #now() {
    const [line] = readFileSync('/proc/stat', 'utf8').split('\n');
    const [user, nice, system, idle, wait, irq, softIrq, steal] = line.split(/ +/).slice(1).map(Number);
    const busy = user + nice + system + irq + softIrq;
    const { user: ownUser, system: ownSystem } = process.cpuUsage();
    const own = (ownUser + ownSystem) / 1000 + childrenCpu() + this.#cluster.cpu;
    return { busy: busy * TICK, all: (busy + idle + wait + steal) * TICK, own };
  }
}
