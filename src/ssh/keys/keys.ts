import { join } from 'node:path';
import { cannotReach, NotTried } from '../failure.ts';
import { quote } from '../shell.ts';
import type { SshTarget } from '../target.ts';
import { type AgentKey, listAgentKeys } from './agent.ts';
import { parseCertificate, plainKey } from './certificate.ts';
import {
  agentSigner,
  type Credential,
  fileSigner,
  type Named,
  type Signer,
  toCredentials,
} from './credential.ts';
import {
  type KeyFile,
  type LockedKey,
  type PassphraseSources,
  Passphrases,
  readKeyFile,
  readPublicLine,
} from './key-file.ts';

/** The keys to try, in order, and the ones that cannot be tried, each with the reason. */
export type Credentials = { readonly keys: readonly Credential[]; readonly unusable: readonly string[] };

/** The sources of keys besides the target: the folder that holds `.ssh`, and passphrases. */
export type KeySources = PassphraseSources & { readonly homeFolder: string };

/** The agent of a target: its socket and its keys; none if it does not answer. */
type Agent = { readonly socket: string; readonly keys: readonly AgentKey[] };

/** Why an identity cannot be used, and what to do about it. */
type Problem = { readonly what: string; readonly hint: string };
/** The keys of an identity: those in `last` need an answer of the user if the machine accepts them. */
type Identity = {
  readonly signers: readonly Signer[];
  readonly last?: readonly Signer[];
  readonly problem?: Problem;
};

/**
 * Finds the keys for a machine. Every file and the agent are read once for all machines, until {@link forget}. All errors
 * are FleetErrors of code `ssh-authentication`.
 */
export class Keys {
  readonly #sources: KeySources;
  readonly #passphrases: Passphrases;
  readonly #files = new Map<string, Promise<KeyFile>>();
  readonly #certificates = new Map<string, Named | undefined>();
  readonly #agents = new Map<string, Promise<Agent>>();

  constructor(sources: KeySources) {
    this.#sources = sources;
    this.#passphrases = new Passphrases(sources);
  }

  /**
   * The identity files of the target, or OpenSSH's default ones, and then the agent's other keys. So the configured keys
   * are tried before a machine ends the login because of too many attempts (MaxAuthTries).
   */
  async of(target: SshTarget): Promise<Credentials> {
    const defaults = DEFAULT_FILES.map((name) => join(this.#sources.homeFolder, '.ssh', name));
    const paths = target.identityFiles.length > 0 ? target.identityFiles : defaults;
    const agent = await this.#agent(target.identityAgent);
    const identities = await Promise.all(paths.map((path) => this.#identity(target, path, agent)));
    const named = identities.flatMap(({ signers }) => signers);
    const others = target.identitiesOnly
      ? []
      : agent.keys.filter(({ publicKey }) => !holds(named, publicKey));
    const asksFirst = named.length + others.length > 1;
    const signers = [
      ...named,
      ...others.map((key) => agentSigner(agent.socket, key, asksFirst)),
      ...identities.flatMap(({ last = [] }) => last),
    ];
    const certificates = this.#certificatesFor(target, paths);
    const keys = unique(signers.flatMap((signer) => toCredentials(signer, certificates)));
    const problems = identities.flatMap(({ problem }) => problem ?? []);
    if (keys.length === 0) throw noKey(target, problems);
    return { keys, unusable: problems.map(({ what }) => what) };
  }

  /** Files and agents are read again from now on: after a refused login the user may change them. */
  forget(): void {
    this.#files.clear();
    this.#certificates.clear();
    this.#agents.clear();
    this.#passphrases.forget();
  }

  async #identity(target: SshTarget, path: string, agent: Agent): Promise<Identity> {
    const file = await this.#file(path);
    const fromAgent = (publicKey: Buffer): Signer[] =>
      agent.keys
        .filter((key) => plainKey(key.publicKey).equals(publicKey))
        .map((key) => agentSigner(agent.socket, key, false));
    switch (file.kind) {
      case 'private':
        // The agent may have a certificate for it; those come first.
        return { signers: [...fromAgent(file.key.publicKey), fileSigner(path, file.key)] };
      case 'missing':
        if (target.identityFiles.length === 0) return { signers: [] };
        return refuse(`there is no key file "${path}"`, 'Check identity_file');
      case 'unusable':
        return refuse(`cannot use the key file "${path}": ${file.why}`, 'Check identity_file');
      case 'public': {
        const signers = fromAgent(file.publicKey);
        if (signers.length > 0) return { signers };
        const why = `holds a public key only and ${missingIn(target)}`;
        return refuse(`the key file "${path}" ${why}`, PUBLIC_ONLY);
      }
      case 'locked': {
        const signers = file.publicKey === undefined ? [] : fromAgent(file.publicKey);
        return signers.length > 0 ? { signers } : this.#locked(target, path, file, agent);
      }
    }
  }

  /** A configured key is decrypted before the connection; a default one only when a machine accepts it. */
  async #locked(target: SshTarget, path: string, file: LockedKey, agent: Agent): Promise<Identity> {
    const quiet = target.batchMode;
    const open = () => this.#passphrases.open(path, file, quiet);
    const advice = `Add it to the agent: ssh-add ${quote(path)}; or set identity_passphrase_file in [ssh]`;
    if (!this.#passphrases.canOpen(quiet)) {
      // The public half is not known, so any key of the agent may be this one.
      if (file.publicKey === undefined && agent.keys.length > 0)
        return { signers: agent.keys.map((key) => agentSigner(agent.socket, key, agent.keys.length > 1)) };
      return refuse(`the key file "${path}" is encrypted and ${missingIn(target)}`, advice);
    }
    if (target.identityFiles.length === 0 && file.publicKey !== undefined) {
      const sign: Signer['sign'] = async (data, algorithm) => {
        const opened = await open();
        if (opened.kind === 'closed') throw new Error(opened.why);
        return fileSigner(path, opened.key).sign(data, algorithm);
      };
      return { signers: [], last: [{ origin: path, publicKey: file.publicKey, asksFirst: true, sign }] };
    }
    const opened = await open();
    if (opened.kind === 'open') return { signers: [fileSigner(path, opened.key)] };
    return refuse(`cannot open the key file "${path}": ${opened.why}`, advice);
  }

  #file(path: string): Promise<KeyFile> {
    const file = this.#files.get(path) ?? readKeyFile(path);
    this.#files.set(path, file);
    return file;
  }

  /** Certificates are beside their keys, or at the configured paths. */
  #certificatesFor(target: SshTarget, identities: readonly string[]): readonly Named[] {
    const beside = identities.map((path) => `${path.replace(/\.pub$/, '')}-cert.pub`);
    return [...target.certificateFiles, ...beside].flatMap((path) => {
      if (!this.#certificates.has(path)) this.#certificates.set(path, readCertificate(path));
      return this.#certificates.get(path) ?? [];
    });
  }

  #agent(socket: string = ''): Promise<Agent> {
    const agent = this.#agents.get(socket) ?? readAgent(socket);
    this.#agents.set(socket, agent);
    return agent;
  }
}

/** OpenSSH's default key files (ssh_config(5), IdentityFile), the best kind first. */
const DEFAULT_FILES = ['id_ed25519', 'id_ecdsa', 'id_rsa'];

const PUBLIC_ONLY =
  'Name the private key in identity_file (--ssh-identity-file FILE), or add it to the agent with ssh-add';

function refuse(what: string, hint: string): Identity {
  return { signers: [], problem: { what, hint } };
}

function missingIn({ identityAgent }: SshTarget): string {
  return identityAgent === undefined ? 'there is no agent' : 'the agent does not hold it';
}

function holds(signers: readonly Signer[], key: Buffer): boolean {
  return signers.some(({ publicKey }) => publicKey.equals(key));
}

function unique(keys: readonly Credential[]): Credential[] {
  const seen = new Set<string>();
  return keys.filter(({ blob }) => {
    const name = blob.toString('base64');
    return !seen.has(name) && seen.add(name);
  });
}

async function readAgent(socket: string): Promise<Agent> {
  return { socket, keys: socket === '' ? [] : await listAgentKeys(socket).catch(() => []) };
}

/** Files without a user certificate are skipped, as in ssh(1). */
function readCertificate(path: string): Named | undefined {
  const blob = readPublicLine(path);
  return blob && parseCertificate(blob)?.kind === 'user' ? { path, blob } : undefined;
}

function noKey(target: SshTarget, problems: readonly Problem[]) {
  const [first] = problems;
  if (target.identityFiles.length === 1 && first !== undefined)
    return new NotTried(cannotReach(target, 'ssh-authentication', first.what, { hint: first.hint }));
  const reasons = problems.length === 0 ? '' : `: ${problems.map(({ what }) => what).join('; ')}`;
  const what = `there is no key to log in with as "${target.user}"${reasons}`;
  const hint =
    'Set identity_file in [ssh] (--ssh-identity-file FILE), or add a key to the agent with ssh-add';
  return new NotTried(cannotReach(target, 'ssh-authentication', what, { hint }));
}
