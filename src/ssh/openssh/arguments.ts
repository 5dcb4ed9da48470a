import { hostAndPort } from '../../base/text.ts';
import { quote } from '../shell.ts';
import type { SshTarget } from '../target.ts';
import type { SessionRequest } from '../transport.ts';

/** Common options of the command lines of ssh(1). */
export type Program = {
  /** For `-F`: the configuration that ssh reads besides the options of a target; undefined for the user's own. */
  readonly configFile: string | undefined;
  /** Whether ssh may ask the user, on the terminal. */
  readonly mayAsk: boolean;
};

/** The text that a master prints when it accepts sessions. */
export const READY = 'fleet-ready';

/** The command line of a master: it logs in, listens at `socket` and stays. `jumpSocket` is the one of the jump host's master. */
export function masterArguments(
  target: SshTarget,
  { configFile, mayAsk }: Program,
  files: { readonly socket: string; readonly log: string; readonly jumpSocket: string | undefined },
): string[] {
  const options = [
    ...connectionOptions(target),
    ...way(target, files.jumpSocket),
    `BatchMode=${mayAsk ? 'no' : 'yes'}`,
    ['ControlMaster=yes', `ControlPath=${escaped(files.socket)}`, 'ControlPersist=no'],
    ['PermitLocalCommand=yes', `LocalCommand=echo ${READY}`],
    // Settings for interactive sessions do not apply here. Each session requests agent forwarding itself.
    ['ClearAllForwardings=yes', 'ForwardX11=no', 'RemoteCommand=none', 'RequestTTY=no', 'ForwardAgent=yes'],
  ].flat();
  return [
    'ssh',
    ...configuration(configFile),
    '-N',
    ...logTo(files.log),
    ...asOptions(options),
    '--',
    target.alias ?? target.host,
  ];
}

/** The command line of a session over the master at `socket`; it fails if that master has ended. */
export function sessionArguments(
  request: SessionRequest,
  files: { readonly socket: string; readonly log: string },
): string[] {
  const tty = request.terminal === undefined ? '-T' : '-tt';
  const agent = request.forwardAgent ? '-A' : '-a';
  // ssh sends variables from the environment of the client of the master.
  const variables = asOptions(Object.keys(request.environment ?? {}).map((name) => `SendEnv=${name}`));
  const command = request.command === undefined ? [] : ['--', request.command];
  return [
    '-F',
    'none',
    ...throughMaster(files.socket),
    ...logTo(files.log),
    tty,
    agent,
    ...variables,
    'machine',
    ...command,
  ];
}

/** The command line that checks whether the master at `socket` is running. */
export function checkArguments(socket: string): string[] {
  return ['-F', 'none', ...throughMaster(socket), '-O', 'check', 'machine'];
}

/** The settings of a target as options of ssh_config(5). Host keys are never accepted without a check. */
function connectionOptions(target: SshTarget): string[] {
  const { kex, ciphers, macs, hostKeys } = target.algorithms;
  const seconds = (ms: number): number => Math.max(1, Math.ceil(ms / 1000));
  return [
    // ssh looks up the written name in its own files; the address of the host is already known.
    `HostName=${target.host.replaceAll('%', '%%')}`,
    `Port=${target.port}`,
    `User=${target.user}`,
    ...target.identityFiles.map((file) => `IdentityFile=${escaped(file)}`),
    ...target.certificateFiles.map((file) => `CertificateFile=${escaped(file)}`),
    ...(target.identitiesOnly ? ['IdentitiesOnly=yes'] : []),
    `IdentityAgent=${target.identityAgent === undefined ? 'none' : escaped(target.identityAgent)}`,
    `NumberOfPasswordPrompts=${target.numberOfPasswordPrompts}`,
    `StrictHostKeyChecking=${target.strictHostKeyChecking}`,
    `UserKnownHostsFile=${fileList(target.userKnownHostsFiles)}`,
    `GlobalKnownHostsFile=${fileList(target.globalKnownHostsFiles)}`,
    ...(target.hostKeyAlias === undefined ? [] : [`HostKeyAlias=${target.hostKeyAlias}`]),
    `HashKnownHosts=${yesOrNo(target.hashKnownHosts)}`,
    'UpdateHostKeys=no',
    ...list('KexAlgorithms', kex),
    ...list('Ciphers', ciphers),
    ...list('MACs', macs),
    ...list('HostKeyAlgorithms', hostKeys),
    `AddressFamily=${target.addressFamily}`,
    ...(target.bindAddress === undefined ? [] : [`BindAddress=${target.bindAddress}`]),
    `Compression=${yesOrNo(target.compression)}`,
    `ConnectTimeout=${seconds(target.connectTimeoutMs)}`,
    `ServerAliveInterval=${seconds(target.keepaliveTimeoutMs / 4)}`,
    'ServerAliveCountMax=3',
  ];
}

/** `none` prevents that ssh uses a ProxyCommand or ProxyJump from its configuration. */
function way(target: SshTarget, jumpSocket: string | undefined): string[] {
  if (jumpSocket !== undefined) {
    const words = ['ssh', '-F', 'none', ...throughMaster(jumpSocket), '-W', hostAndPort(target), 'machine'];
    return [`ProxyCommand=${words.map(quote).join(' ').replaceAll('%', '%%')}`];
  }
  const { via } = target;
  return [`ProxyCommand=${via.kind === 'command' ? via.command.replaceAll('%', '%%') : 'none'}`];
}

/** Without its master ssh would open another connection, without the options of the target: `false` prevents that. */
function throughMaster(socket: string): string[] {
  return ['-S', escaped(socket), ...asOptions(['ControlMaster=no', 'ProxyCommand=false'])];
}

/** The messages of ssh, with the steps of a login, go to a file: standard error belongs to the command. */
function logTo(file: string): string[] {
  return ['-v', '-E', file];
}

function configuration(file: string | undefined): string[] {
  return file === undefined ? [] : ['-F', file];
}

function asOptions(options: readonly string[]): string[] {
  return options.flatMap((option) => ['-o', option]);
}

function list(name: string, names: readonly string[] | undefined): string[] {
  return names === undefined ? [] : [`${name}=${names.join(',')}`];
}

function fileList(files: readonly string[]): string {
  return files.length === 0 ? '/dev/null' : files.map((file) => `"${escaped(file)}"`).join(' ');
}

/** A path with no tokens to expand. */
function escaped(path: string): string {
  return path.replaceAll('%', '%%');
}

function yesOrNo(isSo: boolean): string {
  return isSo ? 'yes' : 'no';
}
