import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { type ErrorCode, FleetError } from '../../src/base/errors.ts';
import { OpensshTransport } from '../../src/ssh/openssh/transport.ts';
import { createSsh2Transport, type Ssh2TransportOptions } from '../../src/ssh/ssh2/transport.ts';
import { type SshTarget, TARGET_DEFAULTS } from '../../src/ssh/target.ts';
import type { RemoteExit, SessionTransport, Transport } from '../../src/ssh/transport.ts';
import { newKey, type Sshd, type SshdOptions, startSshd } from '../support/sshd.ts';

/** A folder that lives as long as the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'fleet-ssh-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export type Rig = {
  readonly sshd: Sshd;
  readonly transport: SessionTransport;
  readonly target: SshTarget;
  /** Holds the identity file `id`, and `known_hosts`. */
  readonly folder: string;
  readonly knownHostsFile: string;
};

/** A server that knows one key, a transport, and a target that has that key and takes new host keys. */
export async function createRig(
  server: SshdOptions = {},
  changes: Partial<SshTarget> = {},
  options: Partial<Ssh2TransportOptions> = {},
): Promise<Rig> {
  const folder = await temporaryFolder();
  const key = newKey();
  await writeFile(join(folder, 'id'), key.private, { mode: 0o600 });
  const sshd = await startSshd({ acceptedKeys: [key.public], ...server });
  const knownHostsFile = join(folder, 'known_hosts');
  const transport = changes.transport === 'openssh' ? createOpenssh() : createTransport(folder, options);
  // Whatever is registered last is finished first: the transport, then the server.
  onTestFinished(() => sshd.close());
  onTestFinished(() => transport.close());
  return { sshd, transport, folder, knownHostsFile, target: targetOf(sshd, join(folder, 'id'), changes) };
}

/** The transport over ssh(1), without the configuration of the user who runs the tests. */
export function createOpenssh(): SessionTransport {
  return new OpensshTransport({ configFile: 'none', hasTerminal: false, environment: process.env });
}

export function createTransport(
  folder: string,
  options: Partial<Ssh2TransportOptions> = {},
): SessionTransport {
  return createSsh2Transport({
    askHostKey: undefined,
    ask: undefined,
    passphraseFile: undefined,
    homeFolder: folder,
    ...options,
  });
}

export function targetOf(
  server: { readonly host: string; readonly port: number },
  identityFile: string | undefined,
  changes: Partial<SshTarget> = {},
): SshTarget {
  return {
    ...TARGET_DEFAULTS,
    name: 'm1',
    host: server.host,
    port: server.port,
    user: 'core',
    identityFiles: identityFile === undefined ? [] : [identityFile],
    identitiesOnly: identityFile !== undefined,
    // Beside the identity.
    userKnownHostsFiles: identityFile === undefined ? [] : [join(dirname(identityFile), 'known_hosts')],
    strictHostKeyChecking: 'accept-new',
    connectTimeoutMs: 10_000,
    keepaliveTimeoutMs: 10_000,
    ...changes,
  };
}

export type Outcome = { readonly exit: RemoteExit; readonly stdout: string; readonly stderr: string };

/** Runs a command to its end. */
export async function run(
  transport: Transport,
  target: SshTarget,
  command: string,
  input = '',
): Promise<Outcome> {
  const process = await transport.exec(target, command);
  const output = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  process.onStdout((chunk) => output.stdout.push(chunk));
  process.onStderr((chunk) => output.stderr.push(chunk));
  if (input !== '') process.write(input);
  process.end();
  const exit = await process.exit;
  return { exit, stdout: String(Buffer.concat(output.stdout)), stderr: String(Buffer.concat(output.stderr)) };
}

/** The FleetError of that code with which the promise rejects. */
export async function failure(work: Promise<unknown>, code: ErrorCode): Promise<FleetError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(FleetError);
  expect(error).toMatchObject({ code });
  return error as FleetError;
}
