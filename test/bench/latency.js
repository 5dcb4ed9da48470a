import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Baselines } from './baselines.js';
import { compare } from './compare.js';
import { DelayingProxy } from './delaying-proxy.js';
import { SLEEPER } from './fleet.js';
import { Fleetd } from './fleetd.js';
import { resultOf } from './report.js';
import { pause, run } from './run.js';

const ROUND_TRIP_MS = 100;

/** How many round trips commands take: their shortest time at 100 ms less that without delay, divided by 100 ms. */
export async function latency({ fleet, cluster }, rounds) {
  const proxies = await Promise.all(cluster.machines.map((machine) => DelayingProxy.start(machine)));
  const through = farCluster(cluster, proxies);
  const ssh = new Baselines(through);
  const settings = { settle: '0ms', through };
  let fleetd;
  const led = async () => {
    if (fleetd !== undefined) return;
    fleetd = await Fleetd.start(fleet, settings);
    await pause(1_000);
  };
  const direct = async () => {
    await fleetd?.stop();
    fleetd = undefined;
  };
  const start = (name, before) => {
    const unitOf = (round) => `far-${name.replaceAll(/\W+/g, '-')}-${round}.service`;
    return {
      name,
      before,
      command: (round) => fleet.commandWith(settings, 'start', fleet.writeUnit(unitOf(round), SLEEPER)),
      after: async (round) => {
        await run(fleet.command('destroy', unitOf(round)));
      },
    };
  };
  const candidates = [
    {
      name: 'list-units',
      before: direct,
      command: () => fleet.commandWith(settings, 'list-units', '--endpoint', 'none'),
    },
    start('start', direct),
    { name: 'ssh HOST true', before: direct, command: () => ssh.ssh('true') },
    { name: 'ssh with a ControlMaster', before: direct, command: () => ssh.master.command('true') },
    start('start through fleetd', led),
  ];
  try {
    await ssh.master.open();
    const near = await compare(candidates, rounds);
    for (const proxy of proxies) proxy.delayMs = ROUND_TRIP_MS / 2;
    const far = await compare(candidates, rounds);
    const budgets = [5, 6, undefined, undefined, 1];
    return {
      title: `Machines that are ${ROUND_TRIP_MS} ms away`,
      results: far,
      checks: candidates.map(({ name }, index) => ({
        label: `round trips of ${name}`,
        value: Math.round((shortest(far, name) - shortest(near, name)) / ROUND_TRIP_MS),
        budget: budgets[index],
        unit: 'RTT',
      })),
    };
  } finally {
    await direct();
    await ssh.master.close();
    for (const proxy of proxies) proxy.stop();
  }
}

function shortest(results, name) {
  return Math.min(...resultOf(results, name).times);
}

/** The machines at the ends of proxies, with the same host keys. */
export function farCluster({ folder, identityFile, knownHostsFile, machines }, proxies) {
  const known = readFileSync(knownHostsFile, 'utf8').split('\n');
  const far = machines.map(({ name, host, port }, index) => {
    const place = port === '22' ? host : `[${host}]:${port}`;
    const keys = known.filter((line) => line.startsWith(`${place} `));
    const lines = keys.map((line) => line.replace(place, `[127.0.0.1]:${proxies[index].port}`));
    return { name, host: '127.0.0.1', port: proxies[index].port, near: place, lines };
  });
  const file = join(folder, `known_hosts.${far[0].port}`);
  writeFileSync(file, `${far.flatMap(({ lines }) => lines).join('\n')}\n`);
  return { folder, identityFile, knownHostsFile: file, machines: far };
}
