import { execFile, execFileSync } from 'node:child_process';
import { hostname, userInfo } from 'node:os';
import { normalize } from 'node:path';
import { isFleetError } from '../../src/base/errors.ts';
import { TARGET_DEFAULTS } from '../../src/ssh/target.ts';
import { assembleNames } from '../../src/ssh-config/algorithms.ts';
import type { Settings } from '../../src/ssh-config/evaluate.ts';
import type { LocalFacts } from '../../src/ssh-config/local-context.ts';
import { SshConfigResolver } from '../../src/ssh-config/resolve.ts';
import { parseJumps } from '../../src/ssh-config/values.ts';

/** What `ssh -G` says or what this project makes of the same files: the values of every keyword, or `refused`. */
export type Answer = Readonly<Record<string, readonly string[]>> | 'refused';

const { username, homedir, uid } = userInfo();

/** The current user, as ssh sees it. */
const FACTS: LocalFacts = {
  cwd: process.cwd(),
  home: homedir,
  env: process.env,
  user: username,
  uid,
  hostName: hostname(),
};

/** Whether there is an ssh to compare with. */
export function hasSsh(): boolean {
  try {
    execFileSync('ssh', ['-V'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** A file and a host. */
export type Asked = readonly [file: string, host: string];

/** Prints what ssh says about each pair of its arguments, and its exit status. */
const ASK = `while [ $# -gt 0 ]; do
  ssh -F "$1" -G "$2" 2>/dev/null
  printf '\\0%s\\0' $?
  shift 2
done`;

/** Asks ssh, in one shell: a process that this one starts takes much longer than ssh itself. */
export async function askSsh(asked: readonly Asked[]): Promise<readonly Answer[]> {
  const output = await new Promise<string>((resolve, reject) => {
    const words = ['-c', ASK, 'sh', ...asked.flat()];
    execFile('sh', words, { maxBuffer: 64 * 1024 * 1024 }, (error, stdout) =>
      error ? reject(error) : resolve(stdout),
    );
  });
  const parts = output.split('\0');
  return asked.map((_, at) => (parts[2 * at + 1] === '0' ? readAnswer(parts[2 * at] ?? '') : 'refused'));
}

function readAnswer(output: string): Answer {
  const values: Partial<Record<string, string[]>> = {};
  for (const line of output.trimEnd().split('\n')) {
    const [name = '', ...rest] = line.split(' ');
    values[name] ??= [];
    values[name].push(rest.join(' '));
  }
  const compared = COMPARED.map((name): [string, string[]] => [name, values[name] ?? []]);
  const proxyjump = (values.proxyjump ?? []).map(inOneSpelling);
  return { ...Object.fromEntries(compared), ...tidyPaths(values), proxyjump };
}

/** ssh leaves `//` and a `/` at the end in paths. */
function tidyPaths(values: Partial<Record<string, string[]>>): Record<string, string[]> {
  const tidy = (line: string): string =>
    line.replace(/\S+/g, (path) => (path.startsWith('/') ? normalize(path).replace(/(.)\/$/, '$1') : path));
  return {
    userknownhostsfile: (values.userknownhostsfile ?? []).map(tidy),
    identityagent: (values.identityagent ?? []).map(tidy),
  };
}

/** Asks this project, and writes its answer as ssh does. */
export function askFleet(file: string, host: string): Answer {
  const resolver = new SshConfigResolver({ kind: 'file', path: file }, FACTS);
  try {
    const base = { ...TARGET_DEFAULTS, user: username };
    const found = resolver.lookUp({ host, user: undefined, port: undefined, base });
    const { identityAgent, userKnownHostsFiles } = found.reader.read();
    return {
      ...write(found.settings),
      user: [found.user],
      hostname: [found.host],
      port: [String(found.port)],
      ...(userKnownHostsFiles && { userknownhostsfile: [userKnownHostsFiles.join(' ')] }),
      ...(identityAgent !== undefined && !isVariable(found.settings) && { identityagent: [identityAgent] }),
    };
  } catch (error) {
    if (isFleetError(error, 'config')) return 'refused';
    throw error;
  }
}

function write(settings: Settings): Record<string, readonly string[]> {
  const all = (name: string) => settings.get(name)?.flatMap(({ values }) => values) ?? [];
  const defaults = (name: string): readonly string[] => DEFAULTS[name] ?? [];
  const values = Object.fromEntries(
    COMPARED.map((name) => [name, settings.has(name) ? all(name) : defaults(name)]),
  );
  if (settings.has('globalknownhostsfile'))
    values.globalknownhostsfile = [all('globalknownhostsfile').join(' ')];
  for (const [name, keyword] of Object.entries(LISTS)) values[name] = assembled(name, keyword, all(name)[0]);
  return { ...values, ...spelled(values), ...ways(all('proxycommand'), all('proxyjump')) };
}

/** ssh names some values differently from how people write them. */
function spelled(values: Record<string, readonly string[]>): Record<string, readonly string[]> {
  const words: Record<string, string> = { yes: 'true', no: 'false', off: 'false' };
  const rename = (name: string) => (values[name] ?? []).map((value) => words[value] ?? value);
  const forward = (values.forwardagent ?? []).map(
    (value) => ({ true: 'yes', false: 'no' })[value.toLowerCase()] ?? value,
  );
  return {
    pubkeyauthentication: rename('pubkeyauthentication'),
    stricthostkeychecking: rename('stricthostkeychecking'),
    forwardagent: forward,
    hostkeyalias: (values.hostkeyalias ?? []).map((alias) => alias.toLowerCase()),
  };
}

function ways(command: readonly string[], jump: readonly string[]) {
  const isNone = ([text = 'none']: readonly string[]) => text.toLowerCase() === 'none';
  return {
    proxycommand: isNone(command) ? [] : command,
    proxyjump: isNone(jump) ? [] : jump.map(inOneSpelling),
  };
}

/** ssh writes only the last host in another format. */
function inOneSpelling(jumps: string): string {
  return JSON.stringify(parseJumps(jumps));
}

function assembled(name: string, query: string, list: string | undefined): readonly string[] {
  const offered = DEFAULTS[name]?.[0]?.split(',') ?? [];
  return list === undefined
    ? (DEFAULTS[name] ?? [])
    : [assembleNames(list, offered, supported(query)).join(',')];
}

function isVariable(settings: Settings): boolean {
  return /^(?:\$\w+|SSH_AUTH_SOCK|none)$/.test(settings.get('identityagent')?.[0]?.values[0] ?? '$x');
}

const known = new Map<string, readonly string[]>();

/** What ssh can do at all. */
function supported(query: string): readonly string[] {
  const names =
    known.get(query) ?? execFileSync('ssh', ['-Q', query], { encoding: 'utf8' }).trim().split('\n');
  known.set(query, names);
  return names;
}

const LISTS = {
  ciphers: 'cipher',
  macs: 'mac',
  kexalgorithms: 'kex',
  hostkeyalgorithms: 'HostKeyAlgorithms',
};

const COMPARED = [
  'user',
  'hostname',
  'port',
  'addressfamily',
  'batchmode',
  'bindaddress',
  'certificatefile',
  'ciphers',
  'compression',
  'connecttimeout',
  'connectionattempts',
  'forwardagent',
  'globalknownhostsfile',
  'hashknownhosts',
  'hostkeyalgorithms',
  'hostkeyalias',
  'identitiesonly',
  'identityagent',
  'identityfile',
  'kbdinteractiveauthentication',
  'kexalgorithms',
  'macs',
  'numberofpasswordprompts',
  'passwordauthentication',
  'preferredauthentications',
  'proxycommand',
  'proxyjump',
  'pubkeyauthentication',
  'sendenv',
  'serveralivecountmax',
  'serveraliveinterval',
  'setenv',
  'stricthostkeychecking',
  'userknownhostsfile',
];

/** What ssh says where no file says anything. */
const DEFAULTS: Readonly<Record<string, readonly string[]>> = {};

/** Learns {@link DEFAULTS}; to be called first. */
export async function learnDefaults(emptyFile: string): Promise<void> {
  const [answer] = await askSsh([[emptyFile, 'anything']]);
  Object.assign(DEFAULTS, answer);
}
