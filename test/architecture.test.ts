import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const SRC = resolve(import.meta.dirname, '../src');

/** Layers, lowest first: a folder imports from lower layers and from itself. */
const LAYERS: readonly (readonly string[])[] = [
  ['base'],
  ['unit', 'machine'],
  ['cluster'],
  ['schedule', 'plan'],
  ['store'],
  ['ssh', 'config', 'quorum'],
  ['registry', 'election', 'systemd', 'ssh-config'],
  ['reconcile', 'install'],
  ['operations', 'metrics'],
  ['output', 'controller', 'api'],
  ['cli'],
];

/** Folders whose functions depend only on their arguments. */
const PURE = ['unit', 'machine', 'cluster', 'schedule', 'plan', 'output'];
const IMPURE_WORDS =
  /\bprocess\.|\bconsole\.|\bDate\b|\bMath\.random\b|\bsetTimeout\b|\bsetInterval\b|\bfetch\(|\bperformance\b/;

/** The folders that may import a package. Other packages must not be imported. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  'bcrypt-pbkdf': ['ssh'],
  ssh2: ['ssh'],
  'ssh2/lib/client.js': ['ssh'],
  commander: ['cli'],
  'cli-table3': ['output'],
  'string-width': ['output'],
  diff: ['output'],
  ini: ['config'],
  'zod/mini': ['registry'],
};

const MAX_LINES = 400;

type Import = { readonly file: string; readonly folder: string; readonly target: string };

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
  .sort();
const imports = files.flatMap(importsOf);

describe('the architecture', () => {
  it('check reads a plausible number of files and imports', () => {
    expect(files.length).toBeGreaterThan(80);
    expect(imports.length).toBeGreaterThan(300);
  });

  it('has a layer for every folder', () => {
    expect(files.filter((file) => layerOf(folderOf(file)) < 0)).toEqual([]);
  });

  it('has no imports from the same or a higher layer', () => {
    const wrong = imports.filter(({ folder, target }) => {
      if (!target.startsWith('.')) return false;
      const to = folderOf(target.slice(2));
      return to !== folder && layerOf(to) >= layerOf(folder);
    });
    expect(wrong.map(show)).toEqual([]);
  });

  it('has no import cycles, not even of types', () => {
    let rest = imports;
    for (let size = Number.POSITIVE_INFINITY; rest.length < size; ) {
      size = rest.length;
      const importing = new Set(rest.map(({ file }) => `./${file}`));
      const imported = new Set(rest.map(({ target }) => target));
      rest = rest.filter(({ file, target }) => importing.has(target) && imported.has(`./${file}`));
    }
    expect(rest.map(show)).toEqual([]);
  });

  it('exposes one file of ssh-config', () => {
    const exposed = imports.filter(
      ({ folder, target }) => folder !== 'ssh-config' && target.startsWith('./ssh-config/'),
    );
    expect([...new Set(exposed.map(({ target }) => target))]).toEqual(['./ssh-config/resolve.ts']);
  });

  it('has no Node modules, clocks, randomness or output in pure folders', () => {
    const builtin = imports.filter(
      ({ folder, target }) => PURE.includes(folder) && target.startsWith('node:'),
    );
    const ambient = files.filter(
      (file) => PURE.includes(folderOf(file)) && IMPURE_WORDS.test(withoutComments(read(file))),
    );
    expect([...builtin.map(show), ...ambient]).toEqual([]);
  });

  it('has imports of packages only in their owners', () => {
    const wrong = imports.filter(({ folder, target }) => {
      if (target.startsWith('.') || target.startsWith('node:')) return false;
      return !PACKAGES[target]?.includes(folder);
    });
    expect(wrong.map(show)).toEqual([]);
  });

  it('writes to standard output and error only in the streams that escape text, and in ssh sessions', () => {
    // Scripts for another computer are strings.
    const code = (file: string): string => withoutComments(read(file)).replace(/^\s*["'].*["'],$/gm, '');
    const writers = files.filter((file) =>
      /\bprocess\.(?:stdout|stderr)\b|\bconsole\.|\bwriteSync\b/.test(code(file)),
    );
    expect(writers).toEqual(['cli/remote-session.ts', 'cli/streams.ts']);
  });

  it('reads user files through one function, which checks owner, mode, type and size', () => {
    // Other readers: files of the system, and files that fleet wrote into checked folders.
    const OWN =
      /^(?:base\/trusted-file|cli\/load|cli\/cache-folder|store\/|install\/files|operations\/install-controller|ssh\/openssh\/)/;
    const readers = files.filter((file) => /\breadFile(?:Sync)?\(/.test(withoutComments(read(file))));
    expect(readers.filter((file) => !OWN.test(file))).toEqual([]);
  });

  it(`has no file over ${MAX_LINES} lines`, () => {
    expect(files.filter((file) => read(file).split('\n').length > MAX_LINES)).toEqual([]);
  });
});

/** Targets are packages, `node:…`, or paths below src that start with `./`. */
function importsOf(file: string): readonly Import[] {
  const found = read(file).matchAll(/(?<!['\w])(?:from|import\(|import)\s*'([^']+)'/g);
  return [...found].flatMap(([, target = '']) => {
    const inside = target.startsWith('.') ? relative(SRC, resolve(SRC, dirname(file), target)) : undefined;
    // package.json has the version.
    if (inside?.startsWith('..')) return [];
    return [{ file, folder: folderOf(file), target: inside === undefined ? target : `./${inside}` }];
  });
}

function show({ file, target }: Import): string {
  return `${file} -> ${target}`;
}

function folderOf(file: string): string {
  return file.split('/')[0] ?? '';
}

function layerOf(folder: string): number {
  return LAYERS.findIndex((layer) => layer.includes(folder));
}

function read(file: string): string {
  return readFileSync(join(SRC, file), 'utf8');
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
}
