import { OpensshTransport } from './openssh/transport.ts';
import { createSsh2Transport, type Ssh2TransportOptions } from './ssh2/transport.ts';
import type { SshTarget } from './target.ts';
import type { SessionTransport } from './transport.ts';

export type TransportOptions = Ssh2TransportOptions & {
  /** The ssh_config that ssh(1) reads besides the options of a target, or `none`; undefined for its default files. */
  readonly sshConfigFile: string | undefined;
  /** The environment of ssh(1). */
  readonly environment: Readonly<Record<string, string | undefined>>;
};

/** Uses the transport that each target names: ssh2, or the installed ssh(1). */
export function createTransport(options: TransportOptions): SessionTransport {
  const hasTerminal = options.askHostKey !== undefined;
  const { environment, sshConfigFile: configFile } = options;
  return either(createSsh2Transport(options), new OpensshTransport({ configFile, hasTerminal, environment }));
}

function either(ssh2: SessionTransport, openssh: SessionTransport): SessionTransport {
  const transportOf = ({ transport }: SshTarget): SessionTransport =>
    transport === 'openssh' ? openssh : ssh2;
  return {
    exec: (target, command) => transportOf(target).exec(target, command),
    open: (target, request) => transportOf(target).open(target, request),
    login: (target) => transportOf(target).login(target),
    socket: (target, path) => transportOf(target).socket(target, path),
    fresh: () => either(ssh2.fresh(), openssh.fresh()),
    close: async () => void (await Promise.all([ssh2.close(), openssh.close()])),
  };
}
