import { FleetError } from '../base/errors.ts';
import { quote } from '../ssh/shell.ts';
import { LAYOUT } from './files.ts';
import { type Host, runWell } from './host.ts';
import lookShell from './look.sh';

/** The facts about a host that matter to a controller. */
export type HostFacts = {
  readonly isRoot: boolean;
  readonly hasSystemd: boolean;
  /** As `uname -m` prints it: `x86_64`. */
  readonly architecture: string;
  /** Missing tools. */
  readonly missing: readonly string[];
  /** Every Node there; `version` is the output of `node --version`. */
  readonly nodes: readonly { readonly version: string; readonly path: string }[];
  /** Whether the folder of the program contains something else. */
  readonly isForeign: boolean;
  /** Of the controller's user. */
  readonly userId: number | undefined;
  readonly hasPrivateKey: boolean;
  /** The controller's public key, `TYPE BASE64 COMMENT`. It stays after an incomplete removal. */
  readonly publicKey: string | undefined;
  readonly knownHosts: string;
  readonly config: string | undefined;
  readonly hasRegistry: boolean;
  /** Unit → its FragmentPath. */
  readonly fragments: ReadonlyMap<string, string>;
  readonly isActive: boolean;
  readonly isEnabled: boolean;
  /** Path → SHA-256, for those of the requested files that exist. */
  readonly digests: ReadonlyMap<string, string>;
};

/** Reads the facts of a host and changes nothing. Throws FleetError `install` for an unexpected answer. */
export async function lookAtHost(host: Host, files: readonly string[]): Promise<HostFacts> {
  const places = { P: LAYOUT.program, K: LAYOUT.key, H: LAYOUT.knownHosts, C: LAYOUT.config };
  const words = { ...places, S: LAYOUT.state, FILES: files.map(quote).join(' ') };
  const settings = Object.entries(words).map(([name, value]) => `${name}=${quote(value)}`);
  return readFacts(await runWell(host, `${settings.join('\n')}\n${lookShell}`, 'examine the host'));
}

/** Reads the output of look.sh. Throws FleetError `install` if the last line is missing. */
export function readFacts(text: string): HostFacts {
  const [head = '', tail = ''] = text.split(/^files\n/m);
  const digests = tail.matchAll(/^([0-9a-f]{64}) [ *](.+)$/gm);
  if (!/^end$/m.test(tail))
    throw new FleetError('install', 'Cannot examine the host: the answer is incomplete');
  const lines = head.split('\n').map(atSpace);
  const all = (name: string): readonly string[] =>
    lines.filter(([first]) => first === name).map(([, value]) => value);
  const decoded = (name: string): string | undefined =>
    all(name).map((value) => Buffer.from(value, 'base64').toString())[0];
  const states = all('state').map((value) => value.split(' '));
  return {
    isRoot: all('uid')[0] === '0',
    hasSystemd: all('systemd').length > 0,
    architecture: all('arch')[0] ?? '',
    missing: all('missing'),
    nodes: all('node').map((value) => {
      const [version, path] = atSpace(value);
      return { version, path };
    }),
    isForeign: all('foreign').length > 0,
    userId: all('user').map(Number)[0],
    hasPrivateKey: all('private').length > 0,
    publicKey: all('key')[0],
    knownHosts: decoded('known-hosts') ?? '',
    config: decoded('config'),
    hasRegistry: all('registry').length > 0,
    fragments: new Map(all('fragment').map(atSpace)),
    isActive: states.length > 0 && states.every(([, active]) => active === 'active'),
    isEnabled: states.length > 0 && states.every(([, , boot]) => boot === 'enabled'),
    digests: new Map([...digests].map(([, sum = '', path = '']) => [path, sum])),
  };
}

/** The parts of a text before and after its first space. */
function atSpace(text: string): readonly [string, string] {
  const at = text.indexOf(' ');
  return [text.slice(0, at), text.slice(at + 1)];
}
