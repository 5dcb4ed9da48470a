import type { ServerResponse } from 'node:http';
import { asFleetError, FleetError, isFleetError } from '../base/errors.ts';
import { ApiError, type Call } from './call.ts';
import type { Cluster } from './cluster.ts';
import { answerLine, type PassAnswer, readRequest, readyAnswer } from './pass-lines.ts';

/** The interval of lines while nothing happens, in ms. */
const WORKING_MS = 1_000;

/**
 * Runs a pass for a client: answers `ready` at once, reads the request, and sends the events of the pass and its report as
 * lines. The pass ends when the client disconnects. Throws {@link ApiError} 503 if this controller cannot run it.
 */
export async function runPass(
  cluster: Cluster,
  call: Call,
  response: ServerResponse,
  onBug: (error: unknown) => void,
): Promise<void> {
  const { snapshot } = cluster.watcher;
  const turn = snapshot === undefined ? undefined : cluster.watcher.takeTurn();
  if (snapshot === undefined || turn === undefined)
    throw new ApiError(503, cluster.leads ? 'this fleetd runs no pass now' : 'this fleetd is on standby');
  const gone = new AbortController();
  const send = (answer: PassAnswer): void => {
    if (!gone.signal.aborted) response.write(answerLine(answer));
  };
  response.once('close', () => gone.abort());
  response.writeHead(200, { 'content-type': 'application/jsonl', 'cache-control': 'no-store' });
  const timer = setInterval(() => send({ kind: 'working' }), WORKING_MS);
  try {
    send(readyAnswer(cluster.origin, snapshot));
    const request = readRequest(await call.body());
    const report = await turn.run(request, (event) => send({ kind: 'event', event }), gone.signal);
    send({ kind: 'report', report });
  } catch (error) {
    if (!isFleetError(error) && !(error instanceof ApiError)) onBug(error);
    // An invalid request is a fault of the client.
    const cause = error instanceof ApiError ? new FleetError('usage', error.message) : error;
    send({ kind: 'error', error: asFleetError(cause) });
  } finally {
    clearInterval(timer);
    turn.end();
    response.end();
  }
}
