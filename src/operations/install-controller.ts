import { mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FleetError, isFleetError } from '../base/errors.ts';
import { authorize, forbid, isAuthorized, loginOf } from '../install/authorize.ts';
import { lookAtHost } from '../install/facts.ts';
import { type HostFile, LAYOUT } from '../install/files.ts';
import { type Host, runWell } from '../install/host.ts';
import { isByHand, nodeOf, type Obstacle, type Reached, type Step } from '../install/plan.ts';
import {
  checkScript,
  linkScript,
  placeRegistryScript,
  removeScript,
  stagedRegistry,
  stageRegistryScript,
  startScript,
  stopScript,
  tryNodeScript,
  userScript,
  writeScript,
} from '../install/scripts.ts';
import type { Access } from '../ssh/become.ts';
import { knownHostLines } from '../ssh/host-keys/trust.ts';
import { newKey } from '../ssh/keys/private-key.ts';
import type { Transport } from '../ssh/transport.ts';
import { openFileStore } from '../store/file.ts';
import { copyRegistry } from './copy-registry.ts';

/** The ports of an installation. */
export type Site = {
  readonly host: Host;
  readonly transport: Transport;
  /** The operator's access to every machine of the cluster. */
  readonly access: ReadonlyMap<string, Access>;
  /** Writes keys at the top of the operator's fleet.conf. */
  writeOwnConfig(settings: ReadonlyMap<string, string>): Promise<void>;
};

/** The errors of a machine that does not answer; other errors are obstacles. */
const UNREACHABLE: ReadonlySet<string> = new Set(['ssh-refused', 'ssh-timeout', 'ssh-lost']);

/** The states of all machines, obstacles, and lines for a known hosts file. */
export type Survey = {
  readonly machines: ReadonlyMap<string, Reached>;
  readonly obstacles: readonly Obstacle[];
  readonly knownHosts: readonly string[];
};

/** Logs in to every machine as the operator and checks whether the controller's key is authorized. Changes nothing. */
export async function surveyMachines(
  { transport, access }: Pick<Site, 'transport' | 'access'>,
  publicKey: string | undefined,
): Promise<Survey> {
  const obstacles: Obstacle[] = [];
  const found = await Promise.all(
    [...access].map(async ([name, each]) => {
      const lines = async (): Promise<readonly string[]> => knownHostLines(each.ssh);
      if (each.ssh.via.kind !== 'direct')
        obstacles.push({
          what: `machine "${name}" is reached through another host, by the ssh_config of this computer`,
          remedy: 'Choose a host that reaches every machine directly, and run the command there',
        });
      try {
        const is = await isAuthorized(loginOf(transport, each), publicKey);
        const reached: Reached = { kind: 'reached', isAuthorized: is };
        return { name, reached, knownHosts: await lines() };
      } catch (error) {
        if (!isFleetError(error)) throw error;
        if (!UNREACHABLE.has(error.code))
          obstacles.push({ what: error.message, remedy: error.hint ?? 'To see details: fleetctl doctor' });
        const reached: Reached = { kind: 'unreachable', why: error.message };
        return { name, reached, knownHosts: await lines().catch(() => []) };
      }
    }),
  );
  return {
    machines: new Map(found.map(({ name, reached }) => [name, reached])),
    obstacles,
    knownHosts: found.flatMap(({ knownHosts }) => knownHosts),
  };
}

/** The folder, if it contains a registry. */
export async function registryFolderAt(directory: string): Promise<string | undefined> {
  const found = await stat(join(directory, 'records')).catch(() => undefined);
  return found === undefined ? undefined : directory;
}

/** Executes and verifies one step. Throws FleetError `install`, and the errors of the connection. */
export async function carryOut(step: Step, site: Site): Promise<void> {
  const { host } = site;
  switch (step.kind) {
    case 'node': {
      const content = await readFile(process.execPath);
      await put(host, [{ path: LAYOUT.node, mode: '0755', owner: 'root:root', content }]);
      await runWell(host, tryNodeScript(), 'run the Node of this computer');
      return;
    }
    case 'files':
      return put(host, step.files);
    case 'user':
      await runWell(host, userScript(), `create the user ${LAYOUT.user}`);
      return;
    case 'key':
      return makeKey(host);
    case 'authorize':
      return authorize(loginOf(site.transport, accessOf(site, step.machine)), await publicKeyAt(host));
    case 'check':
      return check(host, step.except);
    case 'move-registry':
      return moveRegistry(host, step.from);
    case 'own-config':
      return site.writeOwnConfig(step.settings);
    case 'start': {
      const { nodes } = await lookAtHost(host, []);
      await runWell(host, startScript(nodeOf({ nodes }) ?? LAYOUT.node), 'start fleetd');
      await runWell(host, linkScript(), 'link the command');
      return;
    }
  }
}

async function put(host: Host, files: readonly HostFile[]): Promise<void> {
  const contents = Buffer.concat(files.map(({ content }) => content));
  await runWell(host, writeScript(files), 'write files', contents);
}

/** The private key is written only to the host. The public key is written last, because it marks the pair as complete. */
async function makeKey(host: Host): Promise<void> {
  const hostName = (await runWell(host, 'uname -n', 'read the name')).trim();
  const { privateText, publicLine } = newKey(`fleetd@${hostName}`);
  const { key } = LAYOUT;
  const privateFile: HostFile = {
    path: key,
    mode: '0600',
    owner: 'fleet:fleet',
    content: Buffer.from(privateText),
  };
  const content = Buffer.from(`${publicLine}\n`);
  const publicFile: HostFile = { path: `${key}.pub`, mode: '0644', owner: 'root:root', content };
  await put(host, [privateFile, publicFile]);
}

async function publicKeyAt(host: Host): Promise<string> {
  return (await runWell(host, `cat ${LAYOUT.key}.pub`, 'read the key of the controller')).trim();
}

/** The controller must reach every machine that the operator reaches: otherwise it would move the units of the others. */
async function check(host: Host, except: readonly string[]): Promise<void> {
  const { status, output, errors } = await host.run(checkScript());
  const states = new Map(
    [...output.matchAll(/^(\S+) +(.+)$/gm)].map(([, name = '', state = '']) => [name, state]),
  );
  const lost = [...states].flatMap(([name, state]) =>
    state.trim() === 'reachable' || except.includes(name) ? [] : [name],
  );
  if (states.size > 0 && lost.length === 0 && (status === 0 || status === 5)) return;
  throw new FleetError(
    'install',
    `The controller on "${host.name}" cannot reach ${lost.length > 0 ? lost.join(' ') : 'the machines'}, so it was not started: ${errors.trim()}`,
    {
      hint: 'Machines must accept connections from that host at the addresses of fleet.conf; then run the command again',
    },
  );
}

/**
 * Copies the registry, and leaves a file with an explanation in its old place: a command with an old fleet.conf gets an
 * error there, not an empty registry. Throws `not-copyable` if it was changed during the copy; then it stays.
 */
async function moveRegistry(host: Host, from: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'fleet-registry-'));
  const [source, copy] = [openFileStore(from), openFileStore(join(folder, 'registry'))];
  const old = `${from}.moved`;
  try {
    if ((await stat(old).catch(() => undefined)) !== undefined)
      throw new FleetError('install', `Cannot move the registry: ${old} exists already`, {
        hint: 'Move it away first',
      });
    const { revision } = await source.list('');
    await copyRegistry(source, copy);
    const content = await readFile(join(folder, 'registry/records'));
    await runWell(host, stageRegistryScript(), 'move the registry');
    await put(host, [stagedRegistry(content)]);
    await runWell(host, placeRegistryScript(), 'move the registry');
    await rename(from, old);
    const moved = openFileStore(old);
    const isSame = (await moved.list('')).revision === revision;
    await moved.close();
    if (!isSame) {
      await rename(old, from);
      await runWell(host, `rm -rf ${LAYOUT.registry}`, 'remove the copy of the registry');
      throw new FleetError('not-copyable', 'Cannot move the registry: it was changed during the copy', {
        hint: 'Try again when no other command uses it',
      });
    }
    await writeFile(
      from,
      `fleetctl controller install moved this registry to ${host.name}:${LAYOUT.registry}.\nThe old one is in ${old}.\n`,
    );
  } finally {
    await Promise.all([source.close(), copy.close()]);
    await rm(folder, { recursive: true, force: true });
  }
}

function accessOf({ access }: Site, machine: string): Access {
  const found = access.get(machine);
  if (found === undefined) throw new FleetError('machine-not-found', `No such machine: "${machine}"`);
  return found;
}

/** The result of a removal. */
export type RemovedController = {
  /** Whether there was a controller. */
  readonly wasThere: boolean;
  readonly hasRegistry: boolean;
  /** Whether the program stays, because a fleet.conf reaches the registry through it. */
  readonly keepsProgram: boolean;
  /** Machines that may still accept its key, and the errors. */
  readonly left: readonly { readonly machine: string; readonly why: string }[];
};

/**
 * Stops the controller of a host, removes its key from the machines, and removes its files except the registry. The units
 * keep running. `keepsProgram` also keeps the program. If a machine may still accept the key, the public key stays on the
 * host, so that the command can be repeated. Throws FleetError `install` if a script fails, or if the controller was set up
 * by hand.
 */
export async function removeController(
  site: Pick<Site, 'host' | 'transport' | 'access'>,
  keepsProgram: boolean,
): Promise<RemovedController> {
  const { host, transport, access } = site;
  const facts = await lookAtHost(host, []);
  const { publicKey, hasRegistry, fragments } = facts;
  if (isByHand(facts))
    throw new FleetError(
      'install',
      `Cannot remove the controller from "${host.name}": it was set up by hand: ${[...fragments.values()].join(' ')}`,
      { hint: `Remove it by hand, or restore ${LAYOUT.config} if it was lost` },
    );
  const wasThere = publicKey !== undefined || fragments.size > 0;
  await runWell(host, stopScript(), 'stop the controller');
  const failures = await Promise.all(
    [...access].map(async ([machine, each]) => {
      if (publicKey === undefined) return [];
      try {
        await forbid(loginOf(transport, each), publicKey);
        return [];
      } catch (error) {
        if (!isFleetError(error)) throw error;
        return [{ machine, why: error.message }];
      }
    }),
  );
  const left = failures.flat();
  await runWell(
    host,
    removeScript({ program: keepsProgram && hasRegistry, key: left.length > 0 }),
    'remove the controller',
  );
  return { wasThere, hasRegistry, keepsProgram, left };
}
