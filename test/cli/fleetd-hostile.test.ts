import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { idOf } from '../support/builders.ts';
import { buildProgram } from '../support/bundle.ts';
import { type Attack, FLOODS, fuzzed, honest } from '../support/hostile-machine.ts';
import { pick, runs, seeded } from '../support/random.ts';
import { newKey, type Sshd, startSshd } from '../support/sshd.ts';

const ANSWERS = runs(60);
/** How long the looks at another machine may be delayed, in ms. */
const MOST_DELAY_MS = 5_000;
const TTL_MS = 6_000;
const MOST_GROWTH_KIB = 50 * 1024;
const HOSTILE = ['h1', 'h2', 'h3', 'h4', 'h5', 'h6'];
const HONEST = ['c1', 'c2'];

const folder = mkdtempSync(join(tmpdir(), 'fleet-hostile-'));
const servers: Sshd[] = [];
beforeAll(() => buildProgram(folder));
afterAll(async () => {
  await Promise.all(servers.map((server) => server.close()));
  rmSync(folder, { recursive: true });
});

/** Machines at the other end of SSH that do what `attackOf` says, and a `fleet.conf` that names them all. */
async function machines(attackOf: (machine: string) => Attack): Promise<void> {
  const key = newKey();
  writeFileSync(join(folder, 'id'), key.private, { mode: 0o600 });
  const sections: string[] = [];
  for (const name of [...HOSTILE, ...HONEST]) {
    const server = await startSshd({ acceptedKeys: [key.public], attack: () => attackOf(name) });
    servers.push(server);
    sections.push(`[machine.${name}]\naddress = ${server.host}:${server.port}\n`);
  }
  const hosts = servers.map(({ host, port, hostKeys }) => `[${host}]:${port} ${hostKeys[0]}\n`);
  writeFileSync(join(folder, 'known_hosts'), hosts.join(''));
  const ssh = 'user = root\nidentity_file = id\nknown_hosts_file = known_hosts\n';
  const top = `registry = file:registry\nagent_ttl = ${TTL_MS}ms\n`;
  writeFileSync(join(folder, 'fleet.conf'), `${top}\n[ssh]\n${ssh}\n${sections.join('\n')}`);
}

/** KiB of memory that a process uses itself, without those of files. */
function residentKib({ pid }: ChildProcess): number {
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

describe('fleetd beside hostile machines', () => {
  it(`keeps working through ${ANSWERS} random forged answers`, async () => {
    const random = seeded(Number(process.env.FLEET_SEED ?? 13));
    const floods = Object.values(FLOODS);
    const looks = new Map(HONEST.map((name) => [name, [] as number[]]));
    const forged: { isOn: boolean; answers: number } = { isOn: false, answers: 0 };
    await machines((name): Attack => {
      const calm = honest([], idOf(name));
      return async (question, wire) => {
        looks.get(name)?.push(performance.now());
        if (!forged.isOn || !HOSTILE.includes(name)) return calm(question, wire);
        forged.answers++;
        const attack = random() < 0.05 ? pick(random, floods) : fuzzed(random);
        return attack(question, wire);
      };
    });
    const home = join(folder, 'home');
    mkdirSync(home);
    const fleetd = spawn(process.execPath, [join(folder, 'bin/fleetd'), '--log', 'json'], {
      cwd: folder,
      env: { PATH: process.env.PATH, HOME: home },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let log = '';
    for (const stream of [fleetd.stdout, fleetd.stderr]) stream.on('data', (chunk) => (log += chunk));
    const soon = { timeout: 30_000, interval: 50 };
    await vi.waitFor(() => expect([log, (looks.get('c1')?.length ?? 0) > 3]).toEqual([log, true]), soon);

    forged.isOn = true;
    // Not the memory of the first minute, because the caches of the engine grow over time.
    await vi.waitFor(() => expect(forged.answers).toBeGreaterThan(ANSWERS / 3), {
      ...soon,
      timeout: 120_000,
    });
    const memory = residentKib(fleetd);
    while (forged.answers < ANSWERS && fleetd.exitCode === null) await sleep(100);
    const growth = residentKib(fleetd) - memory;
    forged.isOn = false;
    expect(fleetd.exitCode).toBeNull();
    fleetd.kill('SIGTERM');
    await once(fleetd, 'close');

    expect(growth).toBeLessThan(MOST_GROWTH_KIB);
    for (const [name, times] of looks) {
      const pauses = times.slice(1).map((time, index) => time - (times[index] ?? 0));
      expect([name, Math.max(...pauses) < TTL_MS / 3 + MOST_DELAY_MS]).toEqual([name, true]);
    }
    expect(log).toMatch(/Cannot use machine \\"h\d\\"/);
    expect(log).not.toMatch(/(?!\n)\p{Cc}|[\u200b\u202e]/u);
    expect(log).not.toMatch(/\bat .*\.m?[jt]s:\d|has a defect/);
  });
});
