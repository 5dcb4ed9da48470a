import type { ClientRequestArgs } from 'node:http';
import { type Endpoint, parseEndpoint } from '../api/client.ts';
import { FleetError } from '../base/errors.ts';
import { readHost } from '../config/read.ts';
import { transportFor } from './access.ts';
import type { Call } from './command.ts';
import { sshTarget } from './ssh-targets.ts';

/** Where a fleetd listens that `controller install` has set up. */
const USUAL_SOCKET = '/run/fleet.sock';

/** Runs `work` with the socket of a fleetd on another host, over SSH; `named` is the text of --endpoint. */
export async function withTunnel<T>(
  host: string,
  named: string | undefined,
  { flags, streams }: Pick<Call, 'flags' | 'streams'>,
  work: (endpoint: Endpoint) => Promise<T>,
): Promise<T> {
  const path = named === undefined ? USUAL_SOCKET : socketOf(named);
  const { env, cwd, home } = streams;
  const { config, machine } = readHost(host, { flags, env, cwd, home }, '--tunnel');
  const { ssh: target } = sshTarget(machine, config, streams);
  const transport = transportFor(config, streams);
  try {
    // Before any time is measured: a person may be asked about a host key.
    await transport.login(target);
    const createConnection: ClientRequestArgs['createConnection'] = (_, connected) => {
      transport.socket(target, path).then(
        (stream) => connected(null, stream),
        (error: Error) => connected(error, undefined as never),
      );
      return undefined;
    };
    return await work({ name: `unix://${path} on ${host}`, options: { createConnection }, tls: false });
  } finally {
    await transport.close();
  }
}

function socketOf(named: string): string {
  const path = parseEndpoint(named)?.options.socketPath;
  if (typeof path === 'string') return path;
  throw new FleetError('usage', `Cannot use the endpoint "${named}" with --tunnel`, {
    hint: 'A tunnel leads to a socket: --endpoint unix:///run/fleet.sock',
  });
}
