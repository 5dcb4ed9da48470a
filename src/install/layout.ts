/**
 * Where a controller lives on its host. No file of it is below `/var/lib/fleet`, which belongs to the machine that the
 * host may be as well. The units in `examples/fleetd` name the same places.
 */
export const LAYOUT = {
  user: 'fleet',
  program: '/opt/fleet',
  /** Starts fleetctl with the Node that the controller uses. */
  command: '/opt/fleet/fleetctl',
  /** Only where the host has no Node that is new enough. */
  node: '/opt/fleet/node',
  config: '/etc/fleet/controller.conf',
  /** The certificates and passwords that the configuration names. */
  secrets: '/etc/fleet/controller.d',
  key: '/etc/fleet/controller_ed25519',
  knownHosts: '/etc/fleet/controller_known_hosts',
  state: '/var/lib/fleet-controller',
  registry: '/var/lib/fleet-controller/registry',
  socket: '/run/fleet.sock',
  units: '/etc/systemd/system',
} as const;

/** A file of the host, as it has to be. */
export type HostFile = {
  readonly path: string;
  readonly mode: string;
  /** The owner, with root's rights for the group of the controller's user where that is `root:fleet`. */
  readonly owner: 'root:root' | 'root:fleet' | 'fleet:fleet';
  readonly content: Buffer;
};

/** The oldest Node that runs fleet, as in `engines` of package.json. */
const OLDEST_NODE: readonly [major: number, minor: number] = [20, 19];

/** Whether `node --version` printed one that is new enough: `v20.19.0` is. */
export function isNewEnough(version: string): boolean {
  const [, major = 0, minor = 0] = (/^v(\d+)\.(\d+)\./.exec(version) ?? []).map(Number);
  return major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1]);
}
