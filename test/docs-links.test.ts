import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { COMMANDS } from '../src/cli/commands/all.ts';
import { main } from '../src/cli/main.ts';
import { ROOT } from './support/manual.ts';

const PAGES = [
  'README.md',
  ...['examples', 'src/manual'].flatMap((folder) =>
    readdirSync(resolve(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.md'))
      .map((file) => join(folder, file)),
  ),
];
const read = (page: string): string => readFileSync(resolve(ROOT, page), 'utf8');
const CODE_BLOCK = /^ *```[^\n]*\n(.*?)^ *```$/gms;

/** The anchor of a heading on GitHub. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\w\s-]/g, '')
    .trim()
    .replaceAll(' ', '-');

/** The words of the first command in a shell line; undefined if it is not fleetctl. */
function fleetctlWords(line: string): readonly string[] | undefined {
  const [, command] = /^\s*(?:\$ )?(?:sudo )?fleetctl (.+)$/.exec(line) ?? [];
  if (command === undefined) return undefined;
  const [simple = ''] = /^(?:"[^"]*"|'[^']*'|[^"'#|<>;&])*/.exec(command) ?? [];
  return [...simple.matchAll(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g)].map(([word]) => word.replace(/["']/g, ''));
}

/** Every command line of a page, in blocks and in the text, without `…` and `[OPTIONAL]` arguments. */
function commandLines(page: string): readonly string[] {
  const text = read(page);
  const blocks = [...text.matchAll(CODE_BLOCK)].flatMap(([, block = '']) => block.split('\n'));
  const spans = [...text.replace(CODE_BLOCK, '').matchAll(/`([^`]+)`/g)].map(([, span = '']) =>
    span.replaceAll('…', '').replace(/ \[.*\]$/, ''),
  );
  return [...blocks, ...spans].filter((line) => fleetctlWords(line) !== undefined);
}

describe.each([...PAGES, 'CHANGELOG.md', 'src/README.md'])('%s', (page) => {
  it('installs no package of the npm registry, where fleet is another program', () => {
    const installed = [
      ...read(page).matchAll(/npm (?:install|i|exec) [^`\n]*?(?:--global|-g) "?([^\s"`]+)/g),
    ];
    for (const [, source] of installed) expect(source).toMatch(/^(?:\.\/|git\+|ARCHIVE)/);
  });

  it('has no broken links', () => {
    const links = [
      ...read(page)
        .replace(CODE_BLOCK, '')
        .matchAll(/\]\(([^)]+)\)/g),
    ].map(([, link = '']) => link);
    const broken = links.filter((link) => {
      if (/^https?:\/\//.test(link)) return false;
      const [file = '', anchor] = link.split('#');
      const target = file === '' ? page : join(dirname(page), file);
      if (!existsSync(resolve(ROOT, target))) return true;
      const headings = anchor === undefined ? [] : [...read(target).matchAll(/^#+ (.+)$/gm)];
      return anchor !== undefined && !headings.some(([, heading = '']) => anchorOf(heading) === anchor);
    });
    expect(broken).toEqual([]);
  });
});

describe('a command line in the documentation', () => {
  const all = COMMANDS.flatMap((command) => [command, ...(command.subcommands ?? [])]).filter(
    ({ run }) => run !== undefined,
  );
  // Commander checks the command line, and the command itself does not run.
  beforeEach(() => {
    for (const command of all) vi.spyOn(command, 'run').mockResolvedValue(0);
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

  const shown = PAGES.flatMap((page) => commandLines(page).map((line) => [page, line] as const));

  it('is found on the pages', () => {
    expect(shown.length).toBeGreaterThan(100);
  });

  it.each(shown)('in %s is accepted by fleetctl: %s', async (_page, line) => {
    const words = fleetctlWords(line) ?? [];
    const placeholder = words[0] === 'help' && /^[A-Z]+$/.test(words[1] ?? '');
    let err = '';
    const streams = {
      out: () => undefined,
      exact: () => undefined,
      err: (text: unknown) => {
        err += String(text);
      },
      ask: undefined,
      env: {},
      cwd: ROOT,
      home: ROOT,
    };
    if (!placeholder) await main(words, streams);
    // The text may name a command without its arguments.
    expect(err.replace(/^Error: missing (?:required argument|command).*\n.*\n/, '')).toBe('');
  });
});

it('links every page of the manual in the README', () => {
  const readme = read('README.md');
  const pages = PAGES.filter((page) => page.startsWith('src/manual/'));
  expect(pages.filter((page) => !readme.includes(`](${page})`))).toEqual([]);
});
