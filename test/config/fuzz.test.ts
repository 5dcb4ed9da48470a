import { isAbsolute } from 'node:path';
import { expect, it } from 'vitest';
import { isFleetError } from '../../src/base/errors.ts';
import { sshTargets } from '../../src/cli/ssh-targets.ts';
import type { Config, ConfigRequest } from '../../src/config/config.ts';
import { parseSections } from '../../src/config/parse.ts';
import { readConfig } from '../../src/config/read.ts';

type Random = (below: number) => number;

/** Whole numbers from a seed (mulberry32). */
function random(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

function pick<T>(next: Random, from: readonly [T, ...T[]]): T {
  return from[next(from.length)] ?? from[0];
}

const VALUES = [
  'core',
  'true',
  '',
  '5s',
  '500ms',
  '22',
  'file:r',
  '~/k',
  '~b',
  '10.0.0.1',
  '[::1]:22',
  'h:1',
  'a=b,c=d',
  '__proto__=x',
  '"a;b"',
  '"',
  "'x'",
  'a;b',
  '\\',
  '\0',
  'etcd://x',
  'ask',
  'no',
  '🚀',
  '\uFEFF',
  '999999999h',
  'null',
  '[]',
] as const;
const KEYS = [
  'registry',
  'agent_ttl',
  'settle',
  'listen',
  'listen_insecure',
  'listen_names',
  'listen_read_only',
  'etcd_ca_file',
  'etcd_user',
  'user',
  'identity_file',
  'sudo',
  'strict_host_key_checking',
  'transport',
  'known_hosts_file',
  'connect_timeout',
  'keepalive_timeout',
  'port',
  'address',
  'metadata',
  '__proto__',
  'toString',
  'user[]',
  '"user"',
] as const;
const HEADERS = [
  '[ssh]',
  '[machine.a]',
  '[machine.b.c]',
  '[machine.__proto__]',
  '[__proto__]',
  '[ssh',
  '[]',
  '[ssh] ; c',
] as const;

function line(next: Random): string {
  const kind = next(10);
  if (kind < 6) return `${pick(next, KEYS)} = ${pick(next, VALUES)}${next(4) === 0 ? ' ; c' : ''}`;
  if (kind < 8) return pick(next, HEADERS);
  return kind === 8 ? `; ${pick(next, VALUES)}` : pick(next, VALUES);
}

/** A good file with a few lines put in, taken out or damaged. */
function damagedFile(next: Random): string {
  const lines = [
    'registry = file:r',
    'settle = 1s',
    '[ssh]',
    'user = core',
    'port = 2200',
    '[machine.a]',
    'address = a',
    'metadata = x=y',
    '[machine.b]',
    'address = b:1',
    'sudo = false',
  ];
  for (let edits = next(4); edits > 0; edits--) {
    const at = next(lines.length + 1);
    const damage = next(4);
    if (damage === 0) lines.splice(at, 1);
    else if (damage === 1) lines.splice(at, 0, line(next));
    else if (damage === 2) lines[at] = line(next);
    else lines[at] = (lines[at] ?? '').replace(/./g, (char) => (next(12) === 0 ? pick(next, VALUES) : char));
  }
  return lines.join(pick(next, ['\n', '\n', '\r\n', '\r']));
}

function randomRequest(next: Random): ConfigRequest {
  const maybe = () => (next(8) === 0 ? pick(next, VALUES) : undefined);
  const flags = {
    sshConfig: 'none',
    sshUsername: maybe(),
    sshIdentityFile: maybe(),
    sshTimeout: maybe(),
    knownHostsFile: maybe(),
  };
  const env = { USER: maybe(), FLEETCTL_SSH_USERNAME: maybe(), FLEETCTL_STRICT_HOST_KEY_CHECKING: maybe() };
  return { flags, env, cwd: '/cwd', home: '/home/u' };
}

function expectSane(config: Config, request: ConfigRequest): void {
  expect(config.machines.length).toBeGreaterThan(0);
  const { registry } = config;
  if (registry.kind === 'machines') throw new Error('no request names machines');
  const place = registry.kind === 'etcd' ? registry.prefix : registry.directory;
  expect(isAbsolute(place)).toBe(true);
  const { machines } = sshTargets(config, request);
  expect(new Set(machines.map(({ machine }) => machine.address)).size).toBe(machines.length);
  for (const { machine, ssh } of machines) {
    expect(machine.name).toMatch(/^[a-z0-9][\w.-]*$/i);
    expect(ssh.port >= 1 && ssh.port <= 65_535).toBe(true);
    expect(ssh.user).toMatch(/^[^\s-]\S*$/);
    expect(ssh.connectTimeoutMs >= 100 && ssh.connectTimeoutMs <= 600_000).toBe(true);
    expect([...ssh.identityFiles, ...ssh.userKnownHostsFiles].every(isAbsolute)).toBe(true);
  }
}

it('whatever a file says, the answer is a sane Config or a FleetError with one line', () => {
  const outcomes = { config: 0, error: 0 };
  for (let seed = 1; seed <= 4000; seed++) {
    const next = random(seed);
    const text = damagedFile(next);
    try {
      const request = randomRequest(next);
      expectSane(readConfig('/f', parseSections('/f', text), request), request);
      outcomes.config++;
    } catch (error) {
      if (!isFleetError(error, 'config'))
        throw new Error(`seed ${seed}: ${JSON.stringify(text)}`, { cause: error });
      expect(error.message).toMatch(/^("\/f" |no machines |option |environment )/);
      expect(error.message).not.toMatch(/\n|undefined|Invalid input/);
      outcomes.error++;
    }
  }
  expect(outcomes.config).toBeGreaterThan(500);
  expect(outcomes.error).toBeGreaterThan(500);
});

it('any text without control characters arrives through double quotes', () => {
  for (let seed = 1; seed <= 500; seed++) {
    const next = random(seed);
    const value = Array.from({ length: next(30) }, () =>
      pick(next, ['"', '\\', ';', '#', ' ', '=', "'", '[', 'é', '🚀', 'a']),
    ).join('');
    const text = `key = ${JSON.stringify(value)}${pick(next, ['', ' ; c', ' # "c"', ';'])}`;
    expect(parseSections('f', text).get('')?.settings.get('key')?.value).toBe(value);
  }
});

it('a bare text arrives as written up to its comment, or is refused', () => {
  let read = 0;
  for (let seed = 1; seed <= 2000; seed++) {
    const next = random(seed);
    const value = Array.from({ length: next(12) }, () =>
      pick(next, ['"', '\\', ';', '#', ' ', ' ', '=', "'", 'b', 'a']),
    ).join('');
    if (value.trim().startsWith('"')) continue;
    try {
      const got = parseSections('f', `key = ${value}`).get('')?.settings.get('key')?.value;
      expect(got).toBe(` ${value}`.replace(/\s[;#].*$/, '').trim());
      read++;
    } catch (error) {
      if (!isFleetError(error, 'config')) throw error;
    }
  }
  expect(read).toBeGreaterThan(200);
});
