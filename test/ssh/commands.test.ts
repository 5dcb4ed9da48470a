import { expect, test } from 'vitest';
import { createRig, failure, run } from './support.ts';

const MEGABYTE = 1024 * 1024;

test('the three streams and the exit status of a command are passed', async () => {
  const { transport, target, sshd } = await createRig();
  const outcome = await run(transport, target, 'cat; echo oops >&2; exit 3', 'grüße');
  expect(outcome).toEqual({ exit: { status: 3 }, stdout: 'grüße', stderr: 'oops\n' });
  expect(sshd.execs()).toEqual(['cat; echo oops >&2; exit 3']);
});

test('a command that a signal ended says which', async () => {
  const { transport, target } = await createRig();
  expect((await run(transport, target, 'kill -KILL $$')).exit).toEqual({ signal: 'SIGKILL' });
});

test('a script of 10 MB goes in, whole', async () => {
  const { transport, target } = await createRig();
  const { exit, stdout } = await run(transport, target, 'sleep 0.2; wc -c', 'é'.repeat(5 * MEGABYTE));
  expect({ exit, bytes: Number(stdout) }).toEqual({ exit: { status: 0 }, bytes: 10 * MEGABYTE });
});

test('all of 20 MB of output has come when the exit is told', async () => {
  const { transport, target } = await createRig();
  const { exit, stdout } = await run(
    transport,
    target,
    `head -c ${20 * MEGABYTE} /dev/zero | tr '\\0' x; exit 4`,
  );
  expect({ exit, bytes: stdout.length }).toEqual({ exit: { status: 4 }, bytes: 20 * MEGABYTE });
});

test('a command that reads nothing of its input ends all the same', async () => {
  const { transport, target } = await createRig();
  const process = await transport.exec(target, 'exec 0<&-; exit 7');
  process.write('x'.repeat(10 * MEGABYTE));
  expect(await process.exit).toEqual({ status: 7 });
  process.write('nobody reads this');
  process.end();
});

test('a command ends when nobody listens to what it says', async () => {
  const { transport, target } = await createRig();
  const process = await transport.exec(target, `head -c ${5 * MEGABYTE} /dev/zero; echo x >&2`);
  process.end();
  expect(await process.exit).toEqual({ status: 0 });
});

test('who listens late hears everything, from the first byte on', async () => {
  const { transport, target } = await createRig();
  const process = await transport.exec(target, 'echo one; echo two >&2; cat; echo three');
  await run(transport, target, 'sleep 0.1');
  let heard = '';
  process.onStdout((chunk) => {
    heard += chunk;
  });
  process.onStderr((chunk) => {
    heard += chunk;
  });
  process.end();
  expect(await process.exit).toEqual({ status: 0 });
  expect(heard).toBe('one\ntwo\nthree\n');
});

test('a command that is let go is over at once and says no more', async () => {
  const { transport, target } = await createRig();
  const process = await transport.exec(target, 'while echo x; do sleep 0.01; done');
  let chunks = 0;
  await new Promise<void>((resolve) => {
    process.onStdout(() => {
      chunks++;
      resolve();
    });
  });
  process.close();
  const heard = chunks;
  expect((await failure(process.exit, 'ssh-lost')).message).toMatch(/the command was let go$/);
  expect((await run(transport, target, 'sleep 0.1; echo next')).stdout).toBe('next\n');
  expect(chunks).toBe(heard);
  process.close();
  process.write('x');
  process.end();
});

test('many commands run on one connection at the same time', async () => {
  const { transport, target, sshd } = await createRig();
  const numbers = Array.from({ length: 20 }, (_, i) => String(i));
  const outcomes = await Promise.all(
    numbers.map((number) => run(transport, target, `sleep 0.1; echo ${number}`)),
  );
  expect(outcomes.map(({ stdout }) => stdout.trim())).toEqual(numbers);
  expect(sshd.connections()).toBe(1);
});
