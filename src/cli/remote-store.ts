import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';
import { FleetError, isFleetError } from '../base/errors.ts';
import { quoted } from '../base/visible.ts';
import type { Config } from '../config/config.ts';
import type { RemotePlace } from '../config/places.ts';
import { LAYOUT } from '../install/files.ts';
import { WHOLE_PATH } from '../install/host.ts';
import { openRootShell } from '../ssh/root-shell.ts';
import { quote } from '../ssh/shell.ts';
import type { RemoteProcess } from '../ssh/transport.ts';
import { openFileStore } from '../store/file.ts';
import { type Lines, remoteStore, serveStore } from '../store/remote.ts';
import type { Store } from '../store/store.ts';
import { reach, transportFor } from './access.ts';
import type { Streams } from './streams.ts';

/**
 * The registry in a folder of a controller's host, over SSH: a fleetctl there serves it as the owner of that folder. Rejects
 * with `registry-unavailable` if there is none, and with the errors of a login.
 */
export async function openRemoteStore(place: RemotePlace, config: Config, streams: Streams): Promise<Store> {
  const transport = transportFor(config, streams);
  try {
    const access = await reach(place.host, config, streams, 'registry');
    const marker = randomBytes(16).toString('hex');
    const process = await openRootShell(transport, access, serveCommand(place.directory, marker));
    const lines = await linesOf(process, marker, place);
    return remoteStore({
      ...lines,
      close: async () => {
        await lines.close();
        await transport.close();
      },
    });
  } catch (error) {
    await transport.close();
    throw error;
  }
}

/** Serves the registry in a folder over standard input and output, every line marked, until standard input ends. */
export async function serveRegistry(
  [folder = '', marker = '']: readonly string[],
  write: Streams['exact'],
): Promise<void> {
  const store = openFileStore(folder);
  const send = (line: string): void => write(`${marker} ${line}\n`);
  const take = serveStore(store, send);
  send('ready');
  const answers = new Set<Promise<void>>();
  for await (const line of createInterface({ input: process.stdin })) {
    const answer = take(line);
    answers.add(answer);
    void answer.then(() => answers.delete(answer));
  }
  await store.close();
  await Promise.all(answers);
}

function serveCommand(folder: string, marker: string): string {
  return [
    WHOLE_PATH,
    `command=${LAYOUT.command}`,
    '[ -x "$command" ] || command=fleetctl',
    // A folder that does not exist yet will have the owner of the one above it.
    `folder=${quote(folder)}`,
    '[ -e "$folder" ] || folder=$(dirname "$folder")',
    'owner=$(stat -c %U "$folder") && cd / &&',
    `exec runuser -u "$owner" -- "$command" __registry ${quote(folder)} ${marker}\n`,
  ].join('\n');
}

/** Resolves when the other side is ready. Nothing must be written before, because a shell there could read it. */
async function linesOf(remote: RemoteProcess, marker: string, place: RemotePlace): Promise<Lines> {
  const output = new PassThrough();
  let said = '';
  remote.onStdout((chunk) => void output.write(chunk));
  remote.onStderr((chunk) => {
    if (said.length < 2000) said += chunk.toString();
  });
  const listeners = { line: (_: string): void => undefined, end: (_: FleetError): void => undefined };
  const failure = (why: string): FleetError =>
    new FleetError('registry-unavailable', `Cannot reach the registry on "${place.host}": ${why}`, {
      hint: `If it has no working controller, install one: fleetctl controller install ${place.host}`,
    });
  const ended = remote.exit.then(
    (exit) => {
      const how = 'status' in exit ? `status ${exit.status}` : `signal ${exit.signal}`;
      return failure(said.trim() === '' ? `it ended with ${how}` : quoted(said.trim()));
    },
    (error) => (isFleetError(error) ? error : failure(String(error))),
  );
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: output }).on('line', (line) => {
      const [mark, rest] = [line.slice(0, marker.length), line.slice(marker.length + 1)];
      if (mark !== marker) return;
      if (rest === 'ready') resolve();
      else listeners.line(rest);
    });
    void ended.then(reject);
  });
  void ended.then((error) => listeners.end(error));
  return {
    send: (line) => remote.write(`${line}\n`),
    onLine: (listener) => {
      listeners.line = listener;
    },
    onEnd: (listener) => {
      listeners.end = listener;
    },
    async close() {
      remote.end();
      await ended;
    },
  };
}
