import { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { gatherWrites } from '../../src/ssh/ssh2/byte-stream.ts';

/** A stream whose writes are gathered, and the texts that it sends together. */
function makeStream() {
  const sent: string[] = [];
  const stream = new Duplex({
    read: () => undefined,
    write: (chunk, _encoding, done) => {
      sent.push(String(chunk));
      done();
    },
    writev: (writes, done) => {
      sent.push(writes.map(({ chunk }) => String(chunk)).join(' '));
      done();
    },
  });
  gatherWrites(stream);
  return { stream, sent };
}

it('what is written in one turn, promises included, goes out together', async () => {
  const { stream, sent } = makeStream();
  // As in the callback of a socket: what it puts off comes before promises.
  setImmediate(async () => {
    stream.write('length');
    stream.write('content');
    // A signature takes several.
    for (let settled = 0; settled < 10; settled++) await Promise.resolve();
    stream.write('signed');
  });
  await nextTurn();
  await nextTurn();
  stream.write('later');
  await nextTurn();
  expect(sent).toEqual(['length content signed', 'later']);
});

it('the end of the stream loses nothing', async () => {
  const { stream, sent } = makeStream();
  stream.write('a');
  stream.end('b');
  await nextTurn();
  expect(sent.join(' ')).toBe('a b');
});
