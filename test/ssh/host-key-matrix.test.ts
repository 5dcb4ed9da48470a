import { createHmac, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import ssh2 from 'ssh2';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import type { AskHostKey } from '../../src/ssh/host-keys/trust.ts';
import type { SshTarget } from '../../src/ssh/target.ts';
import { newKey, publicLine } from '../support/sshd.ts';
import { hasKeygen, newAuthority } from './authority.ts';
import { createTransport, failure, run, targetOf, temporaryFolder } from './support.ts';

/**
 * Everything that decides about a host key: what the host shows and the file says, what fleet is set to and what a
 * person answers, in all combinations; and how the host is named in the file, with each of these three.
 */
const MODES = ['ask', 'accept-new', 'yes'] as const;
const NAMINGS = ['port', 'alias', 'hashed'] as const;
const ANSWERS = { none: undefined, yes: async () => true, no: async () => false } satisfies Record<
  string,
  AskHostKey | undefined
>;

/** What the host shows: its key, or a certificate for it; and whether it really has that key. */
type Shown = { readonly certificate?: readonly string[]; readonly damaged?: true; readonly stolen?: true };
type State = Shown & {
  /** What the file says, given the name of the host and the public lines of key and authority. */
  readonly file: (name: string, key: string, authority: string) => string;
  readonly outcome: 'trusted' | 'new' | 'refused';
};

const hostKey = newKey();
const otherKey = publicLine(newKey().private);
const otherType = publicLine(newKey('ecdsa').private);
const FOR_ALL = ['-h', '-n', '127.0.0.1,web-1'];
const signedBy = (name: string, _key: string, authority: string): string =>
  `@cert-authority ${name} ${authority}\n`;

const PLAIN: Record<string, State> = {
  unknown: { file: () => '', outcome: 'new' },
  'unknown beside others': { file: (_name, key) => `web-9 ${key}\n`, outcome: 'new' },
  known: { file: (name, key) => `${name} ${key}\n`, outcome: 'trusted' },
  'known beside another key': {
    file: (name, key) => `${name} ${otherKey}\n${name} ${key}\n`,
    outcome: 'trusted',
  },
  changed: { file: (name) => `${name} ${otherKey}\n`, outcome: 'refused' },
  'known by another type of key': { file: (name) => `${name} ${otherType}\n`, outcome: 'refused' },
  revoked: { file: (name, key) => `@revoked ${name} ${key}\n`, outcome: 'refused' },
  'known and revoked for all': {
    file: (name, key) => `${name} ${key}\n@revoked * ${key}\n`,
    outcome: 'refused',
  },
  'called an authority itself': { file: (name, key) => `@cert-authority ${name} ${key}\n`, outcome: 'new' },
};

const CERTIFIED: Record<string, State> = {
  certified: { certificate: FOR_ALL, file: signedBy, outcome: 'trusted' },
  'certified, and known by another key': {
    certificate: FOR_ALL,
    file: (name, key, authority) => `${name} ${otherKey}\n${signedBy(name, key, authority)}`,
    outcome: 'trusted',
  },
  expired: { certificate: [...FOR_ALL, '-V', '20200101:20210101'], file: signedBy, outcome: 'refused' },
  'for later': { certificate: [...FOR_ALL, '-V', '20900101:20910101'], file: signedBy, outcome: 'refused' },
  'for another host': { certificate: ['-h', '-n', 'web-2'], file: signedBy, outcome: 'refused' },
  'without a name': { certificate: ['-h'], file: signedBy, outcome: 'refused' },
  'for users': { certificate: ['-n', '127.0.0.1,web-1'], file: signedBy, outcome: 'refused' },
  'with options': { certificate: [...FOR_ALL, '-O', 'critical:a=b'], file: signedBy, outcome: 'refused' },
  forged: { certificate: FOR_ALL, damaged: true, file: signedBy, outcome: 'refused' },
  stolen: { certificate: FOR_ALL, stolen: true, file: signedBy, outcome: 'refused' },
  'of a revoked authority': {
    certificate: FOR_ALL,
    file: (name, key, authority) => `${signedBy(name, key, authority)}@revoked * ${authority}\n`,
    outcome: 'refused',
  },
  'with a revoked key': {
    certificate: FOR_ALL,
    file: (name, key, authority) => `${signedBy(name, key, authority)}@revoked * ${key}\n`,
    outcome: 'refused',
  },
  'of an authority for others': {
    certificate: FOR_ALL,
    file: (_name, key, authority) => signedBy('web-9', key, authority),
    outcome: 'new',
  },
  'of another authority': {
    certificate: FOR_ALL,
    file: (name) => `@cert-authority ${name} ${otherKey}\n`,
    outcome: 'new',
  },
  'of another authority, with a key that has changed': {
    certificate: FOR_ALL,
    file: (name) => `@cert-authority ${name} ${otherKey}\n${name} ${otherKey}\n`,
    outcome: 'refused',
  },
};

const STATES = { ...PLAIN, ...(hasKeygen ? CERTIFIED : {}) };
if (!hasKeygen) console.log('skipped: hosts with certificates, for there is no /usr/bin/ssh-keygen');

/** Ensures that the tables are complete. */
let combinations = 0;
afterAll(() => {
  const all = Object.keys(STATES).length * MODES.length * Object.keys(ANSWERS).length;
  expect(combinations).toBe(all);
});

test.each(Object.entries(STATES))('a host that is %s', async (_, state) => {
  const folder = await temporaryFolder();
  const authority = hasKeygen ? newAuthority(folder) : { line: '', sign: () => '' };
  await writeFile(join(folder, 'id'), newKey().private);
  await writeFile(join(folder, 'host.pub'), hostKey.public);
  const certificate = state.certificate && authority.sign(join(folder, 'host.pub'), ...state.certificate);
  const server = await startHost(state, certificate);
  for (const [row, mode] of MODES.entries())
    for (const [column, [answer, askHostKey]] of Object.entries(ANSWERS).entries()) {
      const naming = NAMINGS[(row + column) % NAMINGS.length] ?? 'port';
      combinations++;
      const host = named(naming, server.port);
      const text = state.file(host.inFile, publicLine(hostKey.private), authority.line);
      const file = join(folder, `known_hosts-${mode}-${naming}-${answer}`);
      await writeFile(file, text);
      const target = targetOf({ host: '127.0.0.1', port: server.port }, join(folder, 'id'), {
        strictHostKeyChecking: mode,
        hostKeyAlias: host.alias,
        userKnownHostsFiles: [file],
      });
      const accepted =
        state.outcome === 'trusted' ||
        (state.outcome === 'new' && (mode === 'accept-new' || (mode === 'ask' && answer === 'yes')));
      const before = server.heard();
      const outcome = await attempt(folder, target, askHostKey, state.stolen === true);
      const seen = { mode, naming, answer, outcome, heard: server.heard() > before };
      expect(seen).toEqual({ mode, naming, answer, outcome: accepted ? 'in' : 'refused', heard: accepted });
      const isLearnt = accepted && state.outcome === 'new';
      const after = await readFile(file, 'utf8');
      expect(after.startsWith(text)).toBe(true);
      expect(after.slice(text.length)).toMatch(isLearnt ? / ssh-ed25519 \S+\n$/ : /^$/);
    }
});

async function attempt(
  folder: string,
  target: SshTarget,
  askHostKey: AskHostKey | undefined,
  isStolen: boolean,
): Promise<string> {
  const transport = createTransport(folder, { askHostKey });
  try {
    await run(transport, target, 'secret script');
    return 'in';
  } catch (error) {
    // Who does not have the key that he shows cannot sign the key exchange: that is no SSH connection.
    await failure(Promise.reject(error), isStolen ? 'ssh-turned-away' : 'ssh-host-key');
    return 'refused';
  } finally {
    await transport.close();
  }
}

function named(naming: (typeof NAMINGS)[number], port: number) {
  const name = `[127.0.0.1]:${port}`;
  if (naming === 'alias') return { inFile: 'web-1', alias: 'Web-1' };
  if (naming === 'port') return { inFile: name, alias: undefined };
  const salt = randomBytes(20);
  const hash = createHmac('sha1', salt).update(name).digest('base64');
  return { inFile: `|1|${salt.toString('base64')}|${hash}`, alias: undefined };
}

type Kex = { _protocol: { _kex: { negotiated: { serverHostKey: string } } } };

/** A server that accepts every login and answers every command with nothing. `heard` counts its input. */
async function startHost({ damaged, stolen }: Shown, certificateFile: string | undefined) {
  const key = parsed(hostKey.private);
  let current: Kex | undefined;
  let heard = 0;
  const blob = Buffer.from(
    certificateFile ? ((await readFile(certificateFile, 'utf8')).split(' ')[1] ?? '') : '',
    'base64',
  );
  if (damaged) blob[blob.length - 1] = (blob.at(-1) ?? 0) ^ 1;
  // ssh2's server knows no certificates: this is a key that shows one, and signs as what it is.
  const certified: ssh2.ParsedKey = Object.assign(Object.create(key), {
    type: 'ssh-ed25519-cert-v01@openssh.com',
    getPublicSSH: () => blob,
    sign: (data: Buffer) => {
      if (current) current._protocol._kex.negotiated.serverHostKey = 'ssh-ed25519';
      return (stolen ? parsed(newKey().private) : key).sign(data);
    },
  });
  const server = new ssh2.Server({ hostKeys: [hostKey.private] }, (client) => {
    client.on('error', () => undefined);
    client.on('authentication', (context) => {
      heard++;
      context.accept();
    });
    client.on('session', (accept) => {
      heard++;
      accept().on('exec', (open) => {
        const channel = open();
        channel.exit(0);
        channel.end();
      });
    });
    if (certificateFile !== undefined) showCertificate(client as unknown as Kex & Offering, certified);
    current = client as unknown as Kex;
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return { port: (server.address() as AddressInfo).port, heard: () => heard };
}

type Offering = { _protocol: { _hostKeys: Record<string, unknown>; _offer: Offer } };
type Offer = { constructor: unknown; lists: Record<string, { array: readonly string[] }> };

/** The certificate in front of the plain key, as sshd offers it. */
function showCertificate(client: Offering, certified: ssh2.ParsedKey): void {
  const protocol = client._protocol;
  const { kex, serverHostKey, cs, sc } = protocol._offer.lists as unknown as Record<
    'kex' | 'serverHostKey',
    { array: readonly string[] }
  > & { cs: object; sc: object };
  const names = (side: object) =>
    Object.fromEntries(
      Object.entries(side).map(([what, list]) => [what, (list as { array: unknown }).array]),
    );
  const Offering = protocol._offer.constructor as new (lists: object) => Offer;
  protocol._offer = new Offering({
    kex: kex.array,
    serverHostKey: [certified.type, ...serverHostKey.array],
    cs: names(cs),
    sc: names(sc),
  });
  protocol._hostKeys = { ...protocol._hostKeys, [certified.type]: certified };
}

function parsed(text: string): ssh2.ParsedKey {
  const key = ssh2.utils.parseKey(text);
  if (key instanceof Error) throw key;
  return key;
}
