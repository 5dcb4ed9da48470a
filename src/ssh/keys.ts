import { join } from 'node:path';
import type { AnyAuthMethod, BaseAgent, ParsedKey } from 'ssh2';
import { cannotReach } from './failure.ts';
import { type KeyFile, readKeyFile } from './key-file.ts';
import { quote } from './shell.ts';
import type { SshTarget } from './target.ts';

/** One key to log in with. `label` names it to people: a path, or an agent's comment with the key type. */
export type Credential = { readonly label: string; readonly login: (username: string) => AnyAuthMethod };

/** The keys to try, in order, and the ones that cannot be tried, each with the reason. */
export type Credentials = { readonly keys: readonly Credential[]; readonly unusable: readonly string[] };

/** Where keys come from: the path of the agent's socket (SSH_AUTH_SOCK), and the folder that holds `.ssh`. */
export type KeySources = { readonly agentSocket: string | undefined; readonly homeFolder: string };

type Ssh2 = Pick<typeof import('ssh2'), 'createAgent' | 'utils'>;
type AgentKey = Credential & { readonly publicKey: Buffer };

/**
 * Finds the keys for a machine. Every file is parsed once and the agent is asked once for all machines, until
 * {@link forget}. All errors are FleetErrors of code `ssh-authentication`.
 */
export class Keys {
  readonly #ssh2: Ssh2;
  readonly #sources: KeySources;
  readonly #files = new Map<string, Promise<KeyFile>>();
  #agent: Promise<readonly AgentKey[]> | undefined;

  constructor(ssh2: Ssh2, sources: KeySources) {
    this.#ssh2 = ssh2;
    this.#sources = sources;
  }

  /** The identity files of the target; without any the agent's keys and then OpenSSH's default key files. */
  async of(target: SshTarget): Promise<Credentials> {
    const found = target.identityFiles.length === 0 ? await this.#defaults() : await this.#identities(target);
    if (found.keys.length > 0) return found;
    const reasons = found.unusable.length === 0 ? '' : `: ${found.unusable.join(', ')}`;
    const what = `there is no key to log in with as "${target.user}"${reasons}`;
    const hint = 'Set identity_file in [ssh], or add a key to the agent with ssh-add';
    throw cannotReach(target, 'ssh-authentication', what, { hint });
  }

  /** Reads files and agent anew from now on: after a refused login the person may change them. */
  forget(): void {
    this.#files.clear();
    this.#agent = undefined;
  }

  async #identities(target: SshTarget): Promise<Credentials> {
    const keys = await Promise.all(target.identityFiles.map((path) => this.#identity(target, path)));
    return { keys: keys.flat(), unusable: [] };
  }

  async #identity(target: SshTarget, path: string): Promise<readonly Credential[]> {
    const file = await this.#file(path);
    const fail = (what: string, hint: string): never => {
      throw cannotReach(target, 'ssh-authentication', what, { hint });
    };
    switch (file.kind) {
      case 'private':
        return [fileCredential(path, file.key)];
      case 'missing':
        return fail(`there is no key file "${path}"`, 'Check identity_file');
      case 'unusable':
        return fail(`cannot use the key file "${path}": ${file.why}`, 'Check identity_file');
      case 'locked': {
        const { publicKey, why } = file;
        const held = (await this.#agentKeys()).filter((key) => publicKey?.equals(key.publicKey) ?? true);
        if (held.length > 0) return held;
        const state = why === 'encrypted' ? 'is encrypted' : 'holds a public key only';
        const agent =
          this.#sources.agentSocket === undefined ? 'there is no agent' : 'the agent does not hold it';
        return fail(`the key file "${path}" ${state} and ${agent}`, ADVICE[why](path));
      }
    }
  }

  async #defaults(): Promise<Credentials> {
    const keys: Credential[] = [];
    const unusable: string[] = [];
    const agentKeys = await this.#agentKeys();
    const isHeld = (publicKey: Buffer | undefined): boolean =>
      agentKeys.some((key) => publicKey?.equals(key.publicKey));
    for (const name of DEFAULT_FILES) {
      const path = join(this.#sources.homeFolder, '.ssh', name);
      const file = await this.#file(path);
      if (file.kind === 'private' && !isHeld(file.key.getPublicSSH()))
        keys.push(fileCredential(path, file.key));
      if (file.kind === 'locked' && !isHeld(file.publicKey))
        unusable.push(`${path} is encrypted and not in the agent`);
      if (file.kind === 'unusable') unusable.push(`${path}: ${file.why}`);
    }
    return { keys: [...agentKeys, ...keys], unusable };
  }

  #file(path: string): Promise<KeyFile> {
    const { parseKey } = this.#ssh2.utils;
    const file = this.#files.get(path) ?? readKeyFile(path, parseKey);
    this.#files.set(path, file);
    return file;
  }

  #agentKeys(): Promise<readonly AgentKey[]> {
    this.#agent ??= listAgent(this.#ssh2, this.#sources.agentSocket);
    return this.#agent;
  }
}

/** OpenSSH's default key files that ssh2 can use (ssh_config(5), IdentityFile), the best kind first. */
const DEFAULT_FILES = ['id_ed25519', 'id_ecdsa', 'id_rsa'];

const ADVICE: Readonly<Record<'encrypted' | 'public', (path: string) => string>> = {
  encrypted: (path) => `Add it to the agent: ssh-add ${quote(path)}`,
  public: () => 'Name the private key in identity_file, or add it to the agent with ssh-add',
};

/** An agent that has not answered by then, in ms, is passed over. */
const AGENT_TIMEOUT = 3000;

function fileCredential(path: string, key: ParsedKey): Credential {
  return { label: path, login: (username) => ({ type: 'publickey', username, key }) };
}

/** The agent's keys; none when there is no agent or it does not answer. */
function listAgent(ssh2: Ssh2, socket: string | undefined): Promise<readonly AgentKey[]> {
  if (socket === undefined || socket === '') return Promise.resolve([]);
  const agent = ssh2.createAgent(socket) as BaseAgent<ParsedKey>;
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve([]), AGENT_TIMEOUT);
    agent.getIdentities((_error, keys = []) => {
      clearTimeout(timer);
      resolve((keys as ParsedKey[]).map((key) => agentCredential(ssh2, socket, key)));
    });
  });
}

/** One key of the agent, offered alone, so that it is known which one was tried. */
function agentCredential(ssh2: Ssh2, socket: string, key: ParsedKey): AgentKey {
  const agent = ssh2.createAgent(socket);
  agent.getIdentities = (callback) => callback(null, [key]);
  return {
    label: `agent key "${key.comment}" (${key.type})`,
    publicKey: key.getPublicSSH(),
    login: (username) => ({ type: 'agent', username, agent }),
  };
}
