/**
 * The paths of a controller on its host. None is below `/var/lib/fleet`, because the host may also be a machine of the
 * cluster. The units in `examples/fleetd` have the same paths.
 */
export const LAYOUT = {
  user: 'fleet',
  program: '/opt/fleet',
  /** Starts fleetctl with the Node that the controller uses. */
  command: '/opt/fleet/fleetctl',
  /** Only if the host has no Node that is new enough. */
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

/** The wanted state of a file on the host. */
export type HostFile = {
  readonly path: string;
  readonly mode: string;
  /** User and group. `root:fleet` is for files that the controller's user may read. */
  readonly owner: 'root:root' | 'root:fleet' | 'fleet:fleet';
  readonly content: Buffer;
};
