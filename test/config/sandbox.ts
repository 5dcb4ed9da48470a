import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { isFleetError } from '../../src/base/errors.ts';
import { type SshTargets, sshTargets } from '../../src/cli/ssh-targets.ts';
import type { Config, ConfigRequest } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';

export type Sandbox = {
  /** Where the process stands, absolute. */
  readonly cwd: string;
  readonly home: string;
  /** Writes a file; the path is relative to `cwd`. Answers its absolute path. */
  write(path: string, content: string | Uint8Array): Promise<string>;
  /** Loads a configuration, without the real environment. */
  load(request?: Partial<ConfigRequest>): Promise<Config>;
  /** Loads this text as `./fleet.conf`. */
  loadText(text: string | Uint8Array, request?: Partial<ConfigRequest>): Promise<Config>;
  /** The same with the targets of its machines; without a text, of the configuration that is found. */
  targets(
    text: string | Uint8Array | undefined,
    request?: Partial<ConfigRequest>,
  ): Promise<Config & SshTargets>;
};

/** New folders for the tests of a file, which are removed afterwards. */
export function sandbox(): Sandbox {
  let root = '';
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'fleet-config-'));
    await mkdir(join(root, 'cwd'));
    await mkdir(join(root, 'home'));
  });
  afterAll(() => rm(root, { recursive: true, force: true }));
  const box: Sandbox = {
    get cwd() {
      return join(root, 'cwd');
    },
    get home() {
      return join(root, 'home');
    },
    async write(path, content) {
      const file = join(box.cwd, path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, content);
      return file;
    },
    load: ({ flags, ...request } = {}) =>
      // What this machine has in /etc/ssh is of no concern.
      loadConfig({
        flags: { sshConfig: 'none', ...flags },
        env: {},
        cwd: box.cwd,
        home: box.home,
        ...request,
      }),
    async loadText(text, request) {
      await box.write('fleet.conf', text);
      return box.load(request);
    },
    async targets(text, request) {
      const config = await (text === undefined ? box.load(request) : box.loadText(text, request));
      return { ...config, ...sshTargets(config, { cwd: box.cwd, home: box.home, env: request?.env ?? {} }) };
    },
  };
  return box;
}

/** Message and hint of the `config` error that `work` must end with. Paths below `folder` are shown without it. */
export async function problemOf(work: Promise<unknown>, folder: string): Promise<readonly [string, string]> {
  const error: unknown = await work.then(
    () => new Error('nothing was wrong'),
    (reason: unknown) => reason,
  );
  if (!isFleetError(error, 'config')) throw error;
  return [error.message.replaceAll(`${folder}/`, ''), (error.hint ?? '').replaceAll(`${folder}/`, '')];
}
