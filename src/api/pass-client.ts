import type http from 'node:http';
import { text } from 'node:stream/consumers';
import { deferred } from '../base/async.ts';
import { LIMITS } from '../machine/limits.ts';
import type { Emit } from '../reconcile/events.ts';
import type { PassRequest } from '../reconcile/pass.ts';
import { agentOf, type Endpoint, failureText, refusalText } from './client.ts';
import { type PassAnswer, type Ready, readAnswer, requestText } from './pass-lines.ts';

/** The end of a pass; undefined if the connection was lost, or nothing came for too long. */
export type PassEnd = Extract<PassAnswer, { kind: 'report' | 'error' }> | undefined;

/** A pass that was announced to a controller. */
export type AnnouncedPass = {
  /** A text that says why, if the controller cannot run it, or did not answer in time. Never rejects. */
  readonly ready: Promise<Ready | string>;
  /** Asks for the pass, once. Never rejects. */
  run(request: PassRequest, emit: Emit): Promise<PassEnd>;
  /** Ends the pass, if it is not over. */
  close(): void;
};

/**
 * Announces a pass. `firstMs` is the limit until the controller answers, and `laterMs` that of each later line, in ms; a
 * controller that works sends one every second.
 */
export function announcePass(
  endpoint: Endpoint,
  { firstMs, laterMs }: { readonly firstMs: number; readonly laterMs: number },
): AnnouncedPass {
  const { options, tls } = endpoint;
  const ready = deferred<Ready | string>();
  const end = deferred<PassEnd>();
  let emit: Emit = () => undefined;
  const path = '/fleet/v2/pass';
  // Loaded here, because most commands ask no controller.
  const { request: send } = process.getBuiltinModule(tls ? 'node:https' : 'node:http');
  const request = send({ ...options, ...agentOf(endpoint), method: 'POST', path });
  const close = (why: string): void => {
    clearTimeout(timer);
    request.destroy();
    ready.resolve(why);
    end.resolve(undefined);
  };
  let timer = setTimeout(() => close(`it does not answer within ${firstMs / 1000} s`), firstMs);
  const take = (line: string): void => {
    clearTimeout(timer);
    timer = setTimeout(close, laterMs, LOST);
    const answer = readAnswer(line);
    if (answer === undefined) close('it is of another version, or another program');
    else if (answer.kind === 'ready') ready.resolve(answer);
    else if (answer.kind === 'event') emit(answer.event);
    else if (answer.kind !== 'working') {
      end.resolve(answer);
      close(LOST);
    }
  };
  request.on('error', (error) => close(failureText(error)));
  request.on('response', (response) => {
    if (response.statusCode === 200) readLines(response, take, () => close(LOST));
    else
      text(response).then(
        (body) => close(refusalText(response.statusCode, body)),
        (error: Error) => close(failureText(error)),
      );
  });
  request.flushHeaders();
  return {
    ready: ready.promise,
    run(wanted, listener) {
      emit = listener;
      request.end(requestText(wanted));
      return end.promise;
    },
    close: () => close(LOST),
  };
}

const LOST = 'its connection is lost';

/** Calls `end` after the last line, and for a line that is too long. */
function readLines(stream: http.IncomingMessage, take: (line: string) => void, end: () => void): void {
  let pieces: string[] = [];
  let length = 0;
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    pieces.push(chunk);
    length += chunk.length;
    if (length > LIMITS.snapshot.most) end();
    if (!chunk.includes('\n')) return;
    const lines = pieces.join('').split('\n');
    const rest = lines.pop() ?? '';
    pieces = [rest];
    length = rest.length;
    for (const line of lines) take(line);
  });
  stream.on('close', end);
}
