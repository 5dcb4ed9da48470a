import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import service from '../../examples/fleetd/fleetd.service';
import socket from '../../examples/fleetd/fleetd.socket';
import { FleetError } from '../base/errors.ts';

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

/** The units, as they are shipped. */
export const UNIT_FILES: readonly HostFile[] = [
  unitFile('fleetd.service', service),
  unitFile('fleetd.socket', socket),
];

/** The files of the program in `folder` (`bin` and `dist`), and launchers with that Node. Throws `install` if it is not built. */
export async function programFiles(folder: string, node: string): Promise<readonly HostFile[]> {
  const chunks = await readdir(join(folder, 'dist/chunks')).catch(() => []);
  if (chunks.length === 0)
    throw new FleetError('install', `Cannot find the program to install in "${folder}"`, {
      hint: 'Build it: npm run build',
    });
  const names = ['bin/fleetctl', 'bin/fleetd', 'dist/load.cjs', 'dist/fleetctl.cjs', 'dist/fleetd.cjs'];
  const copied = [...names, ...chunks.toSorted().map((name) => `dist/chunks/${name}`)].map(async (name) =>
    programFile(name, await readFile(join(folder, name))),
  );
  const launchers = ['fleetctl', 'fleetd'].map((name) =>
    programFile(name, Buffer.from(`#!/bin/sh\nexec ${node} ${LAYOUT.program}/bin/${name} "$@"\n`)),
  );
  // It is written first and marks the folder as ours; its `type` makes the files in bin CommonJS.
  const content = { description: 'fleet, brought by fleetctl controller install', type: 'commonjs' };
  const manifest = programFile('package.json', Buffer.from(`${JSON.stringify(content)}\n`));
  return [manifest, ...(await Promise.all(copied)), ...launchers];
}

function programFile(name: string, content: Buffer): HostFile {
  const mode = /^(?:bin\/|fleet)/.test(name) ? '0755' : '0644';
  return { path: `${LAYOUT.program}/${name}`, mode, owner: 'root:root', content };
}

function unitFile(name: string, text: string): HostFile {
  return { path: `${LAYOUT.units}/${name}`, mode: '0644', owner: 'root:root', content: Buffer.from(text) };
}
