import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/base/hash.ts';
import { type HostFacts, readFacts } from '../../src/install/facts.ts';
import { type HostFile, LAYOUT } from '../../src/install/files.ts';
import {
  isByHand,
  isNewEnough,
  nodeOf,
  obstacles,
  planInstallation,
  type Wanted,
} from '../../src/install/plan.ts';
import { stepLine, unreachableLines } from '../../src/output/installation.ts';

const file = (path: string): HostFile => ({
  path,
  mode: '0644',
  owner: 'root:root',
  content: Buffer.from(path),
});
const digests = (...paths: readonly string[]) => new Map(paths.map((path) => [path, sha256(path)]));

const CONF = (body: string): string =>
  `; Written by "fleetctl controller install" for /f\n; SHA-256 of what follows: ${sha256(body)}\n${body}`;
const FRESH: HostFacts = {
  isRoot: true,
  hasSystemd: true,
  architecture: 'x86_64',
  missing: [],
  nodes: [{ version: 'v20.19.0', path: '/usr/bin/node' }],
  isForeign: false,
  userId: undefined,
  hasPrivateKey: false,
  publicKey: undefined,
  knownHosts: '',
  config: undefined,
  hasRegistry: false,
  fragments: new Map(),
  isActive: false,
  isEnabled: false,
  digests: new Map(),
};
const INSTALLED: HostFacts = {
  ...FRESH,
  userId: 998,
  hasPrivateKey: true,
  publicKey: 'ssh-ed25519 AAAA fleetd@h',
  config: CONF('a'),
  fragments: new Map([['fleetd.service', '/etc/systemd/system/fleetd.service']]),
  isActive: true,
  isEnabled: true,
  digests: digests('/p', '/u', '/c'),
};
const WANTED: Wanted = {
  program: [file('/p')],
  units: [file('/u')],
  configuration: [file('/c')],
  architecture: 'x86_64',
  machines: new Map([
    ['m1', { kind: 'reached', isAuthorized: false }],
    ['m2', { kind: 'unreachable', why: 'Cannot reach machine "m2"' }],
  ]),
  registryFolder: '/home/registry',
  ownConfig: new Map([['registry', 'file:/there']]),
};
const SETTLED: Wanted = {
  ...WANTED,
  machines: new Map([['m1', { kind: 'reached', isAuthorized: true }]]),
  registryFolder: undefined,
  ownConfig: new Map(),
};

describe('the steps of an installation', () => {
  const open = (facts: HostFacts, wanted: Wanted): readonly string[] =>
    planInstallation(facts, wanted)
      .filter(({ isDone }) => !isDone)
      .map((step) => (step.kind === 'files' ? step.what : step.kind));

  it('on a fresh host, are all of them: the registry moves after the check, and before the start', () => {
    expect(open(FRESH, WANTED)).toEqual([
      'program',
      'user',
      'key',
      'configuration',
      'authorize',
      'units',
      'check',
      'move-registry',
      'own-config',
      'start',
    ]);
    const check = planInstallation(FRESH, WANTED).find(({ kind }) => kind === 'check');
    expect(check).toMatchObject({ except: ['m2'] });
  });

  it('are none where everything is in place', () => {
    expect(open(INSTALLED, SETTLED)).toEqual([]);
  });

  const changes: readonly (readonly [string, Partial<HostFacts>, Partial<Wanted>, readonly string[]])[] = [
    ['a newer program', { digests: digests('/u', '/c') }, {}, ['program', 'check', 'start']],
    ['a new machine', {}, { machines: WANTED.machines }, ['authorize', 'check', 'start']],
    ['one that does not run', { isActive: false }, {}, ['check', 'start']],
    ['one that no boot starts', { isEnabled: false }, {}, ['check', 'start']],
    ['the public half of a key alone', { hasPrivateKey: false }, {}, ['key', 'check', 'start']],
    ['no Node', { nodes: [] }, {}, ['node', 'check', 'start']],
    ['a fleet.conf that still names the old place', {}, { ownConfig: WANTED.ownConfig }, ['own-config']],
  ];
  it.each(changes)('after a change, are what is left: %s', (_what, facts, wanted, left) => {
    expect(open({ ...INSTALLED, ...facts }, { ...SETTLED, ...wanted })).toEqual(left);
  });

  it('are shown as done, to do, or in progress', () => {
    const [first] = planInstallation(FRESH, WANTED);
    const [same] = planInstallation(INSTALLED, SETTLED);
    if (first === undefined || same === undefined) throw new Error('no steps');
    expect(stepLine(first, true)).toBe('would    copy the program to /opt/fleet');
    expect(stepLine(first, false)).toBe('now      copy the program to /opt/fleet');
    expect(stepLine(same, true)).toBe('already  copy the program to /opt/fleet');
    expect(unreachableLines(WANTED.machines)[0]).toBe('Warning: Cannot reach machine "m2"');
    expect(unreachableLines(SETTLED.machines)).toEqual([]);
  });
});

describe('what keeps an installation from beginning', () => {
  it('is nothing on a fresh host, nor on one that has it', () => {
    expect(obstacles(FRESH, WANTED)).toEqual([]);
    expect(obstacles(INSTALLED, SETTLED)).toEqual([]);
  });

  const table: readonly (readonly [string, Partial<HostFacts>])[] = [
    ['root rights are missing', { isRoot: false }],
    ['it does not run systemd', { hasSystemd: false }],
    ['tools are missing: runuser', { missing: ['runuser'] }],
    [
      'it has no Node 20.19 or later',
      { nodes: [{ version: 'v18.20.4', path: '/usr/bin/node' }], architecture: 'aarch64' },
    ],
    ['/opt/fleet exists, and was not installed by fleetctl', { isForeign: true }],
    ['the user fleet there is not a system user', { userId: 1000 }],
    [
      'a fleetd that was set up by hand exists: /x/fleetd.service',
      { fragments: new Map([['fleetd.service', '/x/fleetd.service']]) },
    ],
    [`${LAYOUT.config} was changed by hand`, { config: `${CONF('a')}b` }],
    [`${LAYOUT.config} was changed by hand`, { config: 'registry = file:/x\n' }],
    [`a registry exists already: ${LAYOUT.registry}`, { hasRegistry: true }],
  ];
  it.each(table)('%s', (what, facts) => {
    const [first, ...more] = obstacles({ ...FRESH, ...facts }, WANTED);
    expect(more).toEqual([]);
    expect(first?.what).toContain(what);
    expect(first?.remedy).not.toBe('');
  });

  it('tells a controller of ours from one that was set up by hand', () => {
    expect(isByHand(INSTALLED)).toBe(false);
    expect(isByHand({ ...INSTALLED, config: undefined })).toBe(true);
    expect(isByHand(FRESH)).toBe(false);
  });
});

it('takes the first Node that is new enough', () => {
  const nodes = [
    { version: 'v18.20.4', path: '/usr/bin/node' },
    { version: 'v22.1.0', path: '/usr/local/bin/node' },
  ];
  expect(nodeOf({ nodes })).toBe('/usr/local/bin/node');
  expect(['v20.18.9', 'v20.19.0', 'v20.100.0', 'v21.0.0', 'v9.99.0', 'garbage'].map(isNewEnough)).toEqual([
    false,
    true,
    true,
    true,
    false,
    false,
  ]);
});

describe('what a host says', () => {
  it('is read', () => {
    const text = [
      'uid 0',
      'arch x86_64',
      'systemd yes',
      'node v22.1.0 /usr/bin/node',
      'user 998',
      'private yes',
      'key ssh-ed25519 AAAA fleetd@h',
      `known-hosts ${Buffer.from('a b c\n').toString('base64')}`,
      'registry yes',
      'fragment fleetd.service /etc/systemd/system/fleetd.service',
      'state fleetd.service active enabled',
      'state fleetd.socket active enabled',
      'files',
      `${'a'.repeat(64)}  /opt/fleet/a b`,
      'end',
      '',
    ];
    expect(readFacts(text.join('\n'))).toEqual({
      ...FRESH,
      nodes: [{ version: 'v22.1.0', path: '/usr/bin/node' }],
      userId: 998,
      hasPrivateKey: true,
      publicKey: 'ssh-ed25519 AAAA fleetd@h',
      knownHosts: 'a b c\n',
      hasRegistry: true,
      fragments: new Map([['fleetd.service', '/etc/systemd/system/fleetd.service']]),
      isActive: true,
      isEnabled: true,
      digests: new Map([['/opt/fleet/a b', 'a'.repeat(64)]]),
    });
  });

  it.each(['', 'uid 0\n', 'uid 0\nfiles\n'])('is refused when it is not complete: %j', (text) => {
    expect(() => readFacts(text)).toThrow('the answer is incomplete');
  });
});
