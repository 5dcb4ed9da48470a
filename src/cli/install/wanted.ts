import { causeText, FleetError, isFleetError } from '../../base/errors.ts';
import { readTrusted } from '../../base/trusted-file.ts';
import type { Config } from '../../config/config.ts';
import { formatListenPlace, formatRegistryPlace, type RegistryPlace } from '../../config/places.ts';
import { type ControllerConf, controllerConf } from '../../install/controller-conf.ts';
import type { HostFacts } from '../../install/facts.ts';
import { type HostFile, LAYOUT, programFiles, UNIT_FILES } from '../../install/files.ts';
import { nodeOf, type Wanted } from '../../install/plan.ts';
import { registryFolderAt, type Survey } from '../../operations/install-controller.ts';
import { voterCount } from '../../quorum/choose.ts';
import type { SiteConfig } from './site.ts';

/** The folder of the running program, above `dist` or `src`. */
const PROGRAM = new URL(import.meta.url).pathname.replace(/\/(?:dist|src)\/.*$/, '');

/** Names of `uname -m` by those of Node. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'x86_64',
  arm64: 'aarch64',
  s390x: 's390x',
  ppc64: 'ppc64le',
};

/** The files that do not depend on the machines; `machine` is undefined for this computer. */
export async function filesFor(
  config: SiteConfig,
  machine: string | undefined,
  facts: Pick<HostFacts, 'nodes'>,
): Promise<Pick<Wanted, 'program' | 'units' | 'configuration'>> {
  const conf = controllerConf(config, placeOnHost(config.registry, machine));
  return {
    program: await programFiles(PROGRAM, nodeOf(facts) ?? LAYOUT.node),
    units: UNIT_FILES,
    configuration: [...secrets(conf), confFile(conf)],
  };
}

/** The result of an installation. */
export async function wantedOf(
  config: SiteConfig,
  machine: string | undefined,
  facts: HostFacts,
  survey: Survey,
): Promise<Wanted> {
  const files = await filesFor(config, machine, facts);
  const { registry } = config;
  const isInPlace =
    registry.kind === 'file' && machine === undefined && registry.directory === LAYOUT.registry;
  return {
    ...files,
    configuration: [...files.configuration, knownHostsFile(facts.knownHosts, survey.knownHosts)],
    architecture: ARCHITECTURES[process.arch] ?? process.arch,
    machines: survey.machines,
    registryFolder:
      registry.kind === 'file' && !isInPlace ? await registryFolderAt(registry.directory) : undefined,
    ownConfig: operatorSettings(config, machine),
  };
}

/** Whether the registry is on the machines, and one of them alone has to store it. */
export function hasOneVoter({ registry, machines }: Pick<Config, 'registry' | 'machines'>): boolean {
  const candidates = machines.filter(({ voter }) => voter !== false);
  return registry.kind === 'machines' && voterCount(candidates.length) === 1;
}

/** The location of the registry for the host. Throws FleetError `config` if it is on another host. */
function placeOnHost(place: RegistryPlace, machine: string | undefined): RegistryPlace {
  if (place.kind === 'etcd' || place.kind === 'machines') return place;
  if (place.kind === 'file') return { kind: 'file', directory: LAYOUT.registry };
  if (place.host === machine) return { kind: 'file', directory: place.directory };
  throw new FleetError(
    'config',
    `The registry is kept by a controller already: ${formatRegistryPlace(place)}`,
    {
      hint: `To update that controller: fleetctl controller install ${place.host}`,
    },
  );
}

/** Settings that the operator's fleet.conf lacks so far: the location of the registry, and the controller for lists. */
function operatorSettings(
  { registry, listen }: Config,
  machine: string | undefined,
): ReadonlyMap<string, string> {
  const wanted = new Map<string, string>();
  if (registry.kind === 'file') {
    const place: RegistryPlace =
      machine === undefined
        ? { kind: 'file', directory: LAYOUT.registry }
        : { kind: 'ssh', host: machine, directory: LAYOUT.registry };
    const text = formatRegistryPlace(place);
    if (text !== formatRegistryPlace(registry)) wanted.set('registry', text);
  }
  if (
    machine === undefined &&
    !listen.some((place) => place.kind === 'unix' && place.path === LAYOUT.socket)
  ) {
    const ports = listen.filter(({ kind }) => kind === 'tcp').map(formatListenPlace);
    wanted.set('listen', [`unix:${LAYOUT.socket}`, ...ports].join(', '));
  }
  return wanted;
}

function secrets({ files }: ControllerConf): readonly HostFile[] {
  return files.map(({ key, from, to }): HostFile => {
    try {
      return { path: to, mode: '0640', owner: 'root:fleet', content: readTrusted(from) };
    } catch (error) {
      if (isFleetError(error)) throw error;
      throw new FleetError('config', `Cannot read ${key} "${from}": ${causeText(error)}`);
    }
  });
}

function confFile({ text }: ControllerConf): HostFile {
  return { path: LAYOUT.config, mode: '0644', owner: 'root:root', content: Buffer.from(text) };
}

/** Lines of hosts without new keys stay. */
function knownHostsFile(now: string, lines: readonly string[]): HostFile {
  const hostOf = (line: string): string => line.replace(/^@\S+ /, '').split(' ', 1)[0] ?? '';
  const renewed = new Set(lines.map(hostOf));
  const kept = now.split('\n').filter((line) => line !== '' && !renewed.has(hostOf(line)));
  const content = Buffer.from([...new Set([...kept, ...lines]), ''].join('\n'));
  return { path: LAYOUT.knownHosts, mode: '0644', owner: 'root:root', content };
}
