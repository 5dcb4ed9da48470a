import { describe, expect, it } from 'vitest';
import { askHostKey } from '../../src/cli/access.ts';
import { render } from '../../src/cli/terminal.ts';

const KEY = { machine: 'm1', host: '127.0.0.1', port: 22, key: 'ssh-ed25519 SHA256:abc' };

/** Asks a user who types these answers, and then empty lines. */
async function ask(...answers: readonly string[]) {
  const left = [...answers];
  const printed: string[] = [];
  const question = askHostKey({
    out: () => undefined,
    err: (text) => void printed.push(render(text)),
    exact: () => undefined,
    screen: undefined,
    ask: async () => left.shift() ?? '',
    env: {},
    cwd: '/',
    home: '/',
  });
  const answer = await question?.(KEY).catch((error: unknown) => error);
  return { answer, printed };
}

describe('the question about a host key', () => {
  it.each([
    ['yes', true],
    ['no', false],
    [' YES ', true],
    ['No', false],
  ])('%j is %j', async (answer, expected) => {
    expect((await ask(answer)).answer).toBe(expected);
  });

  it('is shown with the machine and the key', async () => {
    expect((await ask('no')).printed).toEqual([
      'The authenticity of machine "m1" (127.0.0.1) cannot be established.\nIts key is ssh-ed25519 SHA256:abc\n',
    ]);
  });

  it('takes nothing but yes and no', async () => {
    const { answer, printed } = await ask('y', '', 'ja', 'yes');
    expect([answer, printed.slice(1)]).toEqual([true, Array(3).fill('Type "yes" or "no".\n')]);
  });

  it('is not asked for ever', async () => {
    expect((await ask()).answer).toMatchObject({ code: 'ssh-host-key' });
  });

  it('is not asked without a terminal', () => {
    const streams = {
      out: () => undefined,
      err: () => undefined,
      exact: () => undefined,
      ask: undefined,
      screen: undefined,
      env: {},
      cwd: '/',
      home: '/',
    };
    expect(askHostKey(streams)).toBeUndefined();
  });
});
