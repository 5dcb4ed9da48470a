import { compare } from './compare.js';
import { DelayingProxy } from './delaying-proxy.js';
import { Etcd } from './etcd.js';
import { SLEEPER } from './fleet.js';
import { farCluster } from './latency.js';
import { ratio } from './report.js';
import { run } from './run.js';

/** Machines for each place: a registry owns its machines. */
const EACH = 3;
const UNITS = 5_000;
/** The round-trip time of a far registry and its machines, in ms. */
const FAR_MS = 50;

/** Where a registry can be kept, side by side: near, far, and with thousands of units. */
export async function registryPlaces({ fleet, cluster }, rounds) {
  const etcd = await Etcd.start();
  const proxies = [];
  const proxyTo = async (target) => {
    const proxy = await DelayingProxy.start(target);
    proxies.push(proxy);
    return proxy;
  };
  const own = cluster.machines.slice(-3 * EACH);
  try {
    await wipe(cluster, own);
    const registries = ['file:places', 'machines'];
    if (etcd !== undefined) registries.push(`etcd://127.0.0.1:${(await proxyTo(etcd)).port}/places`);
    const places = [];
    for (const [index, registry] of registries.entries()) {
      const machines = own.slice(index * EACH, (index + 1) * EACH);
      const through = farCluster({ ...cluster, machines }, await Promise.all(machines.map(proxyTo)));
      places.push({ name: registry.split(':')[0], settings: { registry, settle: '0ms', through } });
    }
    const first = fleet.writeUnit('first.service', SLEEPER);
    for (const { settings } of places) await run(fleet.commandWith(settings, 'submit', first));
    const delay = (ms) => {
      for (const proxy of proxies) proxy.delayMs = ms / 2;
    };
    const near = await compare(candidates(fleet, places, 'near'), rounds);
    delay(FAR_MS);
    const far = await compare(candidates(fleet, places, `${FAR_MS} ms away`), rounds);
    delay(0);
    await fill(fleet, places);
    const large = await compare(candidates(fleet, places, `${UNITS} units`), rounds);
    const results = [...near, ...far, ...large];
    return {
      title: `Registries in a folder, on the machines and in etcd, ${EACH} machines`,
      results,
      checks: [
        ...checks(results, 'near'),
        ...checks(results, `${FAR_MS} ms away`),
        ...checks(results, `${UNITS} units`),
      ],
      notes: etcd === undefined ? ['etcd is not installed: left out.'] : [],
    };
  } finally {
    for (const proxy of proxies) proxy.stop();
    await etcd?.stop();
    await wipe(cluster, own, { outlivesInterruption: true });
  }
}

function candidates(fleet, places, when) {
  const verbs = {
    start: (settings, round) => fleet.commandWith(settings, 'start', unitOf(settings, round)),
    'list-units': (settings) => fleet.commandWith(settings, 'list-units', '--endpoint', 'none'),
    cat: (settings) => fleet.commandWith(settings, 'cat', 'first.service'),
    submit: (settings, round) =>
      fleet.commandWith(settings, 'submit', unitOf(settings, `submitted-${round}`)),
  };
  const unitOf = (_, round) => fleet.writeUnit(`at-${when.replaceAll(' ', '-')}-${round}.service`, SLEEPER);
  return Object.entries(verbs).flatMap(([verb, command]) =>
    places.map(({ name, settings }) => ({
      name: `${verb}, ${name}, ${when}`,
      command: (round) => command(settings, round),
    })),
  );
}

/** What a registry on the machines may cost beside one in a folder. */
function checks(results, when) {
  const budgets = { start: 1.4, 'list-units': 1.15, cat: undefined, submit: 1.4 };
  return Object.entries(budgets).map(([verb, budget]) =>
    ratio(results, `${verb}, machines, ${when}`, `${verb}, file, ${when}`, budget),
  );
}

/** Submits thousands of units to every registry. */
async function fill(fleet, places) {
  const files = Array.from({ length: UNITS }, (_, index) =>
    fleet.writeUnit(`stored-${index + 1}.service`, SLEEPER),
  );
  for (const { settings } of places)
    for (let begin = 0; begin < UNITS; begin += 1000)
      await run(fleet.commandWith(settings, 'submit', ...files.slice(begin, begin + 1000)));
}

/** Removes all units and files of fleet from machines. */
async function wipe(cluster, machines) {
  const script = [
    'cd /etc/systemd/system',
    'units=$(ls /var/lib/fleet/units 2>/dev/null || true)',
    'for unit in $units; do case "$unit" in *@.*) ;; *) systemctl stop -- "$unit" ;; esac; done',
    '[ -z "$units" ] || rm -f -- $units',
    'rm -rf .fleet-* fleet.target* multi-user.target.wants/fleet.target /var/lib/fleet',
    'systemctl daemon-reload',
  ];
  await Promise.all(
    machines.map(({ name }) => cluster.runVerb('exec', name, '/bin/sh', '-euc', script.join('\n'))),
  );
}
