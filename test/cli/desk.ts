import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { main } from '../../src/cli/main.ts';
import type { Streams } from '../../src/cli/streams.ts';
import { render } from '../../src/cli/terminal.ts';
import { newKey } from '../support/sshd.ts';

/** The streams of a process without a terminal, whose output is lost; `changes` are in their place. */
export function streamsWith(changes: Partial<Streams> = {}): Streams {
  const nothing = (): undefined => undefined;
  return {
    out: nothing,
    err: nothing,
    exact: nothing,
    ask: undefined,
    env: {},
    cwd: '/',
    home: '/',
    ...changes,
  };
}

/** How one command line ended, and what it printed; paths below the desk are shown without it. */
export type Ended = { readonly status: number; readonly out: string; readonly err: string };

export type Desk = {
  readonly cwd: string;
  write(path: string, content: string): Promise<void>;
  read(path: string): Promise<string>;
  /** Runs `fleetctl …` in this process; `env` is all there is of an environment. */
  run(words: readonly string[], env?: Readonly<Record<string, string>>): Promise<Ended>;
};

/** A machine that refuses every connection: nothing listens on that port of the loopback. */
export const REFUSING = '[machine.m1]\naddress = 127.0.0.1:1\nidentity_file = key\n';

/** A new folder, with this fleet.conf if there is one; the real home is not used. */
export async function makeDesk(conf?: string): Promise<Desk> {
  const root = await mkdtemp(join(tmpdir(), 'fleet-cli-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  const cwd = join(root, 'cwd');
  await mkdir(cwd);
  const desk: Desk = {
    cwd,
    async write(path, content) {
      await mkdir(dirname(join(cwd, path)), { recursive: true });
      await writeFile(join(cwd, path), content);
    },
    read: (path) => readFile(join(cwd, path), 'utf8'),
    async run(words, env = {}) {
      const printed = { out: '', err: '' };
      const streams = streamsWith({
        out: (text) => {
          printed.out += render(text);
        },
        err: (text) => {
          printed.err += render(text);
        },
        exact: (text) => {
          printed.out += text;
        },
        ...{ env, cwd, home: join(root, 'home') },
      });
      const status = await main(words, streams);
      const tidy = (text: string): string => text.replaceAll(`${cwd}/`, '').replaceAll(root, 'ROOT');
      return { status, out: tidy(printed.out), err: tidy(printed.err) };
    },
  };
  if (conf !== undefined) await desk.write('fleet.conf', conf);
  await desk.write('key', newKey().private);
  return desk;
}
