import { FleetError } from '../base/errors.ts';
import { quote } from '../ssh/shell.ts';
import { type Host, runWell } from './host.ts';
import { LAYOUT } from './layout.ts';
import lookShell from './look.sh';

/** What a host has that matters to a controller. */
export type HostFacts = {
  readonly isRoot: boolean;
  readonly hasSystemd: boolean;
  /** As `uname -m` prints it: `x86_64`. */
  readonly architecture: string;
  /** Tools that are not there. */
  readonly missing: readonly string[];
  /** Every Node there, with what `node --version` prints. */
  readonly nodes: readonly { readonly version: string; readonly path: string }[];
  /** Whether something else is where the program is to be. */
  readonly isForeign: boolean;
  /** Of the controller's user. */
  readonly userId: number | undefined;
  readonly hasPrivateKey: boolean;
  /** The public half of the controller's key, `TYPE BASE64 COMMENT`; a removal that is not complete leaves it alone there. */
  readonly publicKey: string | undefined;
  readonly knownHosts: string;
  readonly config: string | undefined;
  readonly hasRegistry: boolean;
  /** Where systemd found a unit of that name. */
  readonly fragments: ReadonlyMap<string, string>;
  readonly isActive: boolean;
  readonly isEnabled: boolean;
  /** SHA-256 by path, of those of the files asked for that are there. */
  readonly digests: ReadonlyMap<string, string>;
};

/** Looks at a host and changes nothing. Throws FleetError `install` when it does not answer as expected. */
export async function lookAtHost(host: Host, files: readonly string[]): Promise<HostFacts> {
  const places = { P: LAYOUT.program, K: LAYOUT.key, H: LAYOUT.knownHosts, C: LAYOUT.config };
  const words = { ...places, S: LAYOUT.state, FILES: files.map(quote).join(' ') };
  const settings = Object.entries(words).map(([name, value]) => `${name}=${quote(value)}`);
  return readFacts(await runWell(host, `${settings.join('\n')}\n${lookShell}`, 'look around'));
}

/** Reads the lines that look.sh prints. Throws FleetError `install` when the last one is missing. */
export function readFacts(text: string): HostFacts {
  const [head = '', tail = ''] = text.split(/^files\n/m);
  const digests = [...tail.matchAll(/^([0-9a-f]{64}) [ *](.+)$/gm)].map(([, sum = '', path = '']) => {
    return [path, sum] as const;
  });
  if (!/^end$/m.test(tail)) throw new FleetError('install', 'Cannot look around: the answer is not complete');
  const lines = head.split('\n').map((line) => {
    const at = line.indexOf(' ');
    return { name: line.slice(0, at), value: line.slice(at + 1) };
  });
  const all = (name: string): readonly string[] =>
    lines.filter((line) => line.name === name).map(({ value }) => value);
  const decoded = (name: string): string | undefined =>
    all(name).map((value) => Buffer.from(value, 'base64').toString())[0];
  const pair = (value: string): readonly [string, string] => {
    const at = value.indexOf(' ');
    return [value.slice(0, at), value.slice(at + 1)];
  };
  const states = all('state').map((value) => value.split(' '));
  return {
    isRoot: all('uid')[0] === '0',
    hasSystemd: all('systemd').length > 0,
    architecture: all('arch')[0] ?? '',
    missing: all('missing'),
    nodes: all('node').map((value) => {
      const [version, path] = pair(value);
      return { version, path };
    }),
    isForeign: all('foreign').length > 0,
    userId: all('user').map(Number)[0],
    hasPrivateKey: all('private').length > 0,
    publicKey: all('key')[0],
    knownHosts: decoded('known-hosts') ?? '',
    config: decoded('config'),
    hasRegistry: all('registry').length > 0,
    fragments: new Map(all('fragment').map(pair)),
    isActive: states.length > 0 && states.every(([, active]) => active === 'active'),
    isEnabled: states.length > 0 && states.every(([, , boot]) => boot === 'enabled'),
    digests: new Map(digests),
  };
}
