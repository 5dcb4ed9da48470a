import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareText } from '../../src/base/text.ts';
import { COMMANDS } from '../../src/cli/commands/all.ts';
import { SCRIPTS } from '../../src/cli/commands/other.ts';
import { answerCompletion } from '../../src/cli/completion/complete.ts';
import { keepNames } from '../../src/cli/known-names.ts';
import { loadConfig } from '../../src/config/load.ts';
import { GLOBAL_OPTIONS, namesOfOption } from '../../src/config/settings.ts';
import { type Edit, UNKNOWN_MACHINE } from '../../src/registry/edit.ts';
import { createRegistry } from '../../src/registry/registry.ts';
import type { RegistryView } from '../../src/registry/view.ts';
import { openFileStore } from '../../src/store/file.ts';
import { desiredUnit } from '../support/builders.ts';
import { streamsWith } from './desk.ts';

const folder = mkdtempSync(join(tmpdir(), 'fleet-completion-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Names in which a careless script would find commands, words or escapes. */
const NASTY = ['$(touch HERE)', 'a b', "it's", 'semi;touch HERE', '`touch HERE`', 'star*'];

beforeAll(async () => {
  writeFileSync(
    join(folder, 'fleet.conf'),
    '[ssh]\nuser = me\n\n[machine.web-1]\naddress = 10.0.0.1\n\n[machine.db-1]\naddress = 10.0.0.2\n',
  );
  const registry = createRegistry(openFileStore(join(folder, 'registry')), {
    clock: { now: () => 0 },
    author: 'me@here',
  });
  const units = ['app@.service', 'app@1.service', 'app@2.service', 'db.service', 'mnt-a\\x2db.mount'];
  await registry.update(() => units.map((name) => ({ kind: 'put-unit', unit: desiredUnit(name) })));
  await registry.close();
  for (const name of [
    'local.service',
    'my units/new.timer',
    'notes.txt',
    '.hidden.service',
    'line\nend.service',
  ])
    write(name);
  for (const name of NASTY) write(`nasty/${name.replaceAll('HERE', 'harm')}.service`);
});

function write(name: string): void {
  const path = join(folder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, '');
}

/** The words offered in place of the last of `words`, without what they are. */
async function offered(...words: readonly string[]): Promise<readonly string[]> {
  const lines: string[] = [];
  const streams = streamsWith({
    out: (text) => void lines.push(String(text)),
    err: (text) => void lines.push(`stderr: ${text}`),
    ...{ cwd: folder, home: folder },
  });
  await answerCompletion(['--', ...words], streams);
  return lines
    .join('')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.replace(/\t.*/, ''));
}

describe('what is offered', () => {
  it('in the first place is every command, and the options of all', async () => {
    expect(await offered('')).toEqual(COMMANDS.map(({ name }) => name));
    const flags = GLOBAL_OPTIONS.map(({ flags }) => namesOfOption(flags).flag);
    expect(await offered('--ssh-')).toEqual(flags.filter((flag) => flag.startsWith('--ssh-')));
  });

  it('after a command with subcommands are these, and then their arguments', async () => {
    expect(await offered('machines', '')).toEqual([
      'add',
      'set',
      'rename',
      'apply',
      'remove',
      'accept',
      'distrust',
    ]);
    expect(await offered('machines', 'accept', 'w')).toEqual(['web-1']);
    expect(await offered('machines', 'remove', 'w')).toEqual(['web-1']);
    expect(await offered('machines', 'add', 'x', 'y', '--us')).toEqual(['--user']);
    expect(await offered('machines', 'nonsense', '')).toEqual([]);
  });

  it.each<[string, readonly string[], readonly string[]]>([
    ['commands that begin so', ['rol'], ['rollback']],
    ['commands, for help', ['help', 'rol'], ['rollback']],
    ['topics, for help', ['help', 'sec'], ['security']],
    ['a word that is both, once', ['help', 'contr'], ['controller']],
    ['options of the command', ['list-units', '--no'], ['--no-legend']],
    ['help, as an option of every command', ['cat', '--h'], ['--help']],
    ['the choices of an option', ['list-units', '-o', ''], ['table', 'json']],
    ['its choices behind an equals sign', ['list-units', '--output=j'], ['--output=json']],
    ['fields', ['list-unit-files', '--fields', 'd'], ['dstate', 'desc']],
    [
      'fields not given yet',
      ['history', 'db', '--fields', 'hash,time,'],
      ['hash,time,who', 'hash,time,current', 'hash,time,result', 'hash,time,digest'],
    ],
    ['fields behind an equals sign', ['history', '--fields=hash,t'], ['--fields=hash,time']],
    ['units, and the beginning of instances', ['stop', 'a'], ['app@', 'app@1.service', 'app@2.service']],
    ['templates where a file is meant', ['cat', 'app@.'], ['app@.service']],
    [
      'units and unit files where units are submitted',
      ['start', ''],
      [
        'app@',
        'app@1.service',
        'app@2.service',
        'db.service',
        'mnt-a\\x2db.mount',
        'local.service',
        'my units/',
        'nasty/',
        'registry/',
      ],
    ],
    ['unit files in folders', ['submit', 'my units/'], ['my units/new.timer']],
    ['hidden files once the dot is there', ['submit', '.'], ['.hidden.service']],
    ['paths to every verb about units, once it is one', ['explain', './lo'], ['./local.service']],
    ['another unit after the first', ['stop', 'db', 'd'], ['db.service']],
    ['nothing after the only unit', ['cat', 'db', ''], []],
    ['units after two dashes, but no options', ['stop', '--', '-'], []],
    ['machines and units', ['ssh', 'd'], ['db.service', 'db-1']],
    ['machines as a value', ['ssh', '--machine', 'w'], ['web-1']],
    ['nothing in a command for a machine', ['ssh', 'web-1', ''], []],
    ['any file for a global option', ['--config', 'n'], ['nasty/', 'notes.txt']],
    ['units of the configuration that is named', ['--config', 'fleet.conf', 'cat', 'db'], ['db.service']],
    ['nothing from a configuration that does not exist', ['--config', 'nix.conf', 'cat', ''], []],
    ['nothing after an unknown command', ['nix', ''], []],
    ['shells', ['completion', ''], ['bash', 'zsh', 'fish']],
  ])('is %s', async (_, words, expected) => {
    expect((await offered(...words)).toSorted(compareText)).toEqual([...expected].toSorted(compareText));
  });
});

describe('names in a registry', () => {
  const view = async (...edits: readonly Edit[]): Promise<RegistryView> => {
    const registry = createRegistry(openFileStore(mkdtempSync(join(folder, 'view-'))), {
      clock: { now: () => 0 },
      author: 'me@here',
    });
    return registry.update(() => edits).finally(() => registry.close());
  };
  const machine = (name: string, address: string): Edit => ({
    kind: 'put-machine',
    name,
    known: { ...UNKNOWN_MACHINE, address, metadata: {} },
  });
  const unit = (name: string): Edit => ({ kind: 'put-unit', unit: desiredUnit(name) });

  it('on the machines are those that a command has read with this fleet.conf, without a connection', async () => {
    const conf = 'registry = machines\n[machine.web-1]\naddress = 10.0.0.1\n';
    for (const path of ['one.conf', 'two.conf']) writeFileSync(join(folder, path), conf);
    const words = (...last: readonly string[]) => offered('--config', 'one.conf', ...last);
    expect([await words('ssh', 'w'), await words('stop', '')]).toEqual([['web-1'], []]);
    const config = await loadConfig({ flags: { config: 'one.conf' }, env: {}, cwd: folder, home: folder });
    const streams = { env: {}, home: folder };
    keepNames(await view(unit('app.service'), machine('web-2', '10.0.0.2')), config, streams);
    expect(await words('ssh', 'w')).toEqual(['web-1', 'web-2']);
    expect(await words('stop', '')).toEqual(['app.service']);
    expect(await offered('--config', 'two.conf', 'stop', '')).toEqual([]);
    keepNames(
      await view(unit('app.service'), unit('db.service'), machine('web-3', '10.0.0.3')),
      config,
      streams,
    );
    expect(await words('ssh', 'web-')).toEqual(['web-1', 'web-3']);
    const cache = join(folder, '.cache/fleet/names');
    const [kept = ''] = readdirSync(cache);
    chmodSync(join(cache, kept), 0o666);
    expect(await words('stop', '')).toEqual([]);
    writeFileSync(join(cache, kept), 'x 1\n{"units":');
    chmodSync(join(cache, kept), 0o600);
    expect([await words('ssh', 'w'), await words('stop', '')]).toEqual([['web-1'], []]);
  });

  it('in a folder include machines that fleet.conf lacks, and none that were removed', async () => {
    const registry = createRegistry(openFileStore(join(folder, 'in-folder')), {
      clock: { now: () => 0 },
      author: 'me@here',
    });
    await registry.update(() => [
      unit('app.service'),
      machine('db-1', '10.0.0.2'),
      machine('far-1', '10.0.0.9'),
    ]);
    await registry.update(() => [{ kind: 'delete-machine', name: 'db-1' }]);
    await registry.close();
    const sections = '[machine.web-1]\naddress = 10.0.0.1\n[machine.db-1]\naddress = 10.0.0.2\n';
    writeFileSync(join(folder, 'folder.conf'), `registry = file:in-folder\n${sections}`);
    expect(await offered('--config', 'folder.conf', 'drain', '')).toEqual(['web-1', 'far-1']);
  });
});

/** A `fleetctl` for shells, made from the source as it is. */
function program(): string {
  const root = new URL('../..', import.meta.url).pathname;
  execFileSync(
    join(root, 'node_modules/.bin/rolldown'),
    ['--config', 'src/rolldown.config.js', '--dir', join(folder, 'program/dist')],
    { cwd: root, stdio: 'ignore' },
  );
  mkdirSync(join(folder, 'program/bin'));
  mkdirSync(join(folder, 'path'));
  execFileSync('cp', [join(root, 'bin/fleetctl'), join(folder, 'program/bin/fleetctl')]);
  symlinkSync(join(folder, 'program/bin/fleetctl'), join(folder, 'path/fleetctl'));
  return join(folder, 'path');
}

const hasShell = (shell: string): boolean => spawnSync(shell, ['-c', 'exit 0']).status === 0;

describe('the scripts', () => {
  let path = '';
  beforeAll(() => {
    path = program();
  });

  /** What the shell says after it has run `script` where the unit files are. */
  function run(shell: string, options: readonly string[], script: string): readonly string[] {
    const { stdout, stderr } = spawnSync(shell, [...options, '-c', script], {
      cwd: folder,
      encoding: 'utf8',
      env: { PATH: `${path}:${process.env.PATH}`, HOME: folder },
    });
    expect(stderr).toBe('');
    return stdout.split('\n').filter((line) => line !== '');
  }

  /** What bash would put in place of the word behind the last of its word breaks. */
  function inBash(line: string): readonly string[] {
    return run(
      'bash',
      ['--norc'],
      `${SCRIPTS.get('bash')}
      COMP_WORDBREAKS=$' \\t\\n"\\'@><=;|&(:'
      COMP_LINE=${quoted(line)} COMP_POINT=\${#COMP_LINE} COMP_WORDS=($'fleetctl') COMP_CWORD=1
      _fleetctl
      printf '%s\\n' "\${COMPREPLY[@]}"`,
    );
  }

  function inZsh(...words: readonly string[]): readonly string[] {
    return run(
      'zsh',
      ['-f'],
      `compdef() { :; }
      compadd() { print -rl -- "\${(@P)\${@[-1]}}"; }
      ${SCRIPTS.get('zsh')}
      words=(fleetctl ${words.map(quoted).join(' ')}) CURRENT=\${#words} PREFIX=\${words[-1]}
      _fleetctl`,
    );
  }

  const inFish = (line: string): readonly string[] =>
    run('fish', ['--no-config'], `${SCRIPTS.get('fish')}\ncomplete --do-complete ${quoted(line)}`).map(
      (each) => each.replace(/\t.*/, ''),
    );

  const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

  const noHarm = (): void => {
    expect(spawnSync('find', [folder, '-name', 'harm']).stdout.toString()).toBe('');
  };

  it.each([
    ['a command', 'fleetctl rol', ['rollback']],
    ['a unit', 'fleetctl cat d', ['db.service']],
    ['the end of an instance, for @ parts words there', 'fleetctl stop app@', ['', '1.service', '2.service']],
    ['the value behind an equals sign', 'fleetctl list-units --output=j', ['json']],
    ['a name with a backslash, so that bash reads it again', 'fleetctl cat mnt', ['mnt-a\\\\x2db.mount']],
    ['what was typed with a backslash', 'fleetctl cat mnt-a\\\\x', ['mnt-a\\\\x2db.mount']],
    ['a folder with a blank', 'fleetctl submit my\\ units/', ['my\\ units/new.timer']],
    ['nothing for what is unknown', 'fleetctl nix ', []],
  ])('complete %s in bash', (_, line, replies) => {
    expect(inBash(line)).toEqual(replies.filter((reply) => reply !== ''));
  });

  it('offer every name in bash as one word that means it', () => {
    const replies = inBash('fleetctl submit nasty/');
    expect(replies).toHaveLength(NASTY.length);
    const read = run('bash', ['--norc'], `printf '%s\\n' ${replies.join(' ')}`);
    expect(read.toSorted(compareText)).toEqual(
      NASTY.map((name) => `nasty/${name.replaceAll('HERE', 'harm')}.service`).toSorted(compareText),
    );
    noHarm();
  });

  it.each([
    ['$(touch harm)'],
    ['`touch harm`'],
    ['"; touch harm; "'],
    ['$HOME'],
    ['~'],
    ['*'],
    ['<(touch harm)'],
  ])('run no part of the typed line: %s', (typed) => {
    inBash(`fleetctl stop ${typed}`);
    inBash(`fleetctl ${typed} `);
    if (hasShell('zsh')) inZsh('stop', typed);
    if (hasShell('fish')) inFish(`fleetctl ${typed} stop a`);
    noHarm();
  });

  it.skipIf(!hasShell('zsh'))('complete commands, units and options in zsh', () => {
    expect(inZsh('rol')).toEqual(['rollback']);
    expect(inZsh('cat', 'd')).toEqual(['db.service']);
    expect(inZsh('stop', 'db', 'a')).toEqual(['app@1.service', 'app@2.service', 'app@']);
    expect(inZsh('list-units', '--output=j')).toEqual(['--output=json']);
    expect(inZsh('--config', 'fleet.conf', 'cat', 'd')).toEqual(['db.service']);
  });

  it.skipIf(!hasShell('fish'))('complete commands, units and options in fish', () => {
    expect(inFish('fleetctl rol')).toEqual(['rollback']);
    expect(inFish('fleetctl cat d')).toEqual(['db.service']);
    expect(inFish('fleetctl stop db a')).toEqual(['app@', 'app@1.service', 'app@2.service']);
    expect(inFish('fleetctl list-units --output=j')).toEqual(['--output=json']);
  });
});
