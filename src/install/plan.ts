import { sha256 } from '../base/hash.ts';
import { isUntouched } from './controller-conf.ts';
import type { HostFacts } from './facts.ts';
import { type HostFile, LAYOUT } from './files.ts';

/** The state of a machine of the cluster, as seen by the operator. */
export type Reached =
  | { readonly kind: 'reached'; readonly isAuthorized: boolean }
  | { readonly kind: 'unreachable'; readonly why: string };

/** The wanted state after an installation. */
export type Wanted = {
  readonly program: readonly HostFile[];
  readonly units: readonly HostFile[];
  readonly configuration: readonly HostFile[];
  /** The `uname -m` of this computer: a copy of its Node needs the same. */
  readonly architecture: string;
  readonly machines: ReadonlyMap<string, Reached>;
  /** The registry folder of this computer to move to the host; undefined if the registry is there already, or in etcd. */
  readonly registryFolder: string | undefined;
  /** The changes of keys at the top of the operator's fleet.conf. */
  readonly ownConfig: ReadonlyMap<string, string>;
};

/** A step of an installation, in the order of {@link planInstallation}. */
export type Step = { readonly isDone: boolean } & (
  | { readonly kind: 'node' }
  | {
      readonly kind: 'files';
      readonly what: 'program' | 'configuration' | 'units';
      /** Those that differ. */
      readonly files: readonly HostFile[];
    }
  | { readonly kind: 'user' }
  | { readonly kind: 'key' }
  | { readonly kind: 'authorize'; readonly machine: string }
  | { readonly kind: 'check'; readonly except: readonly string[] }
  | { readonly kind: 'move-registry'; readonly from: string }
  | { readonly kind: 'own-config'; readonly settings: ReadonlyMap<string, string> }
  | { readonly kind: 'start' }
);

/** A reason why nothing can be installed on a host, and its remedy. */
export type Obstacle = { readonly what: string; readonly remedy: string };

/** All obstacles to an installation. */
export function obstacles(facts: HostFacts, wanted: Wanted): readonly Obstacle[] {
  const found: Obstacle[] = [];
  const add = (isThere: boolean, what: string, remedy: string): void => {
    if (isThere) found.push({ what, remedy });
  };
  add(!facts.isRoot, 'root rights are missing', 'Run the command with sudo');
  add(!facts.hasSystemd, 'it does not run systemd', 'Choose a host that was booted with systemd');
  add(
    facts.missing.length > 0,
    `tools are missing: ${facts.missing.join(' ')}`,
    'Install coreutils, util-linux and systemd',
  );
  add(
    nodeOf(facts) === undefined && facts.architecture !== wanted.architecture,
    `it has no Node 20.19 or later, and the one of this computer is for ${wanted.architecture}, not ${facts.architecture}`,
    'Install Node there: apt-get install nodejs, where the release has one that is new enough',
  );
  add(
    facts.isForeign,
    `${LAYOUT.program} exists, and was not installed by fleetctl`,
    'Move it away, or choose another host',
  );
  add(
    facts.userId !== undefined && facts.userId >= 1000,
    `the user ${LAYOUT.user} there is not a system user`,
    'Choose another host, or rename that account',
  );
  const byHand = [...facts.fragments.values()];
  add(
    isByHand(facts),
    `a fleetd that was set up by hand exists: ${byHand.join(' ')}`,
    `Remove it first: systemctl disable --now fleetd.socket fleetd; rm ${byHand.join(' ')}. Its registry stays: write its place into fleet.conf`,
  );
  add(
    facts.config !== undefined && isUntouched(facts.config) !== true,
    `${LAYOUT.config} was changed by hand`,
    `Make the change in your fleet.conf, remove ${LAYOUT.config} there, and run the command again`,
  );
  add(
    facts.hasRegistry && wanted.registryFolder !== undefined,
    `a registry exists already: ${LAYOUT.registry}`,
    `To use it, write its place into fleet.conf; otherwise move it away. The registry of this computer is ${wanted.registryFolder}`,
  );
  return found;
}

/** Whether the host has units of these names that were not written by an installation. */
export function isByHand({ fragments, config }: Pick<HostFacts, 'fragments' | 'config'>): boolean {
  return fragments.size > 0 && (config === undefined || isUntouched(config) === undefined);
}

/** The steps of an installation. An installation is complete when all of them are done. */
export function planInstallation(facts: HostFacts, wanted: Wanted): readonly Step[] {
  const files = (what: 'program' | 'configuration' | 'units'): Step => {
    const differing = wanted[what].filter(({ path, content }) => facts.digests.get(path) !== sha256(content));
    return { kind: 'files', what, files: differing, isDone: differing.length === 0 };
  };
  const machines = [...wanted.machines];
  const before: readonly Step[] = [
    files('program'),
    { kind: 'node', isDone: nodeOf(facts) !== undefined },
    { kind: 'user', isDone: facts.userId !== undefined },
    { kind: 'key', isDone: keyOf(facts) !== undefined },
    files('configuration'),
    ...machines.flatMap(([machine, found]): Step[] =>
      found.kind === 'unreachable' ? [] : [{ kind: 'authorize', machine, isDone: found.isAuthorized }],
    ),
    files('units'),
  ];
  const move: readonly Step[] =
    wanted.registryFolder === undefined
      ? []
      : [{ kind: 'move-registry', from: wanted.registryFolder, isDone: false }];
  const own: readonly Step[] =
    wanted.ownConfig.size === 0 ? [] : [{ kind: 'own-config', settings: wanted.ownConfig, isDone: false }];
  const runs = facts.isActive && facts.isEnabled;
  const isDone = runs && [...before, ...move].every((step) => step.isDone);
  const except = machines.flatMap(([name, { kind }]) => (kind === 'unreachable' ? [name] : []));
  return [...before, { kind: 'check', except, isDone }, ...move, ...own, { kind: 'start', isDone }];
}

/** The public key, if the private key exists too. */
export function keyOf({ hasPrivateKey, publicKey }: HostFacts): string | undefined {
  return hasPrivateKey ? publicKey : undefined;
}

/** The Node for the controller; undefined if one has to be copied. */
export function nodeOf({ nodes }: Pick<HostFacts, 'nodes'>): string | undefined {
  return nodes.find(({ version }) => isNewEnough(version))?.path;
}

/** The oldest Node that runs fleet, as in `engines` of package.json. */
const OLDEST_NODE: readonly [major: number, minor: number] = [20, 19];

/** Whether a version that `node --version` printed, such as `v20.19.0`, is new enough. */
export function isNewEnough(version: string): boolean {
  const [, major = 0, minor = 0] = (/^v(\d+)\.(\d+)\./.exec(version) ?? []).map(Number);
  return major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1]);
}
