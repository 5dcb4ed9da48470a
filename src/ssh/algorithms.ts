import type { AlgorithmList, Algorithms } from 'ssh2';
import { hostKeyAlgorithms } from './host-key.ts';
import type { KnownHost } from './known-host.ts';
import type { SshTarget } from './target.ts';

/**
 * What ssh2 offers a host: what the target names, as far as ssh2 has it, and ssh2's own lists where it names
 * nothing. If nothing is left of a list, there is nothing to agree on, and the handshake fails with that.
 */
export function offeredAlgorithms({ algorithms, compression }: SshTarget, known: KnownHost): Algorithms {
  const { kex, ciphers, macs, hostKeys } = algorithms;
  const keys = hostKeyAlgorithms(known).filter((name) => hostKeys?.includes(name) ?? true);
  return {
    serverHostKey: exactly(keys),
    compress: compression ? ['zlib@openssh.com', 'none'] : ['none'],
    ...(kex && { kex: exactly(kex) }),
    ...(ciphers && { cipher: exactly(ciphers) }),
    ...(macs && { hmac: exactly(macs) }),
  };
}

/**
 * A list with a name that ssh2 does not have makes it throw, and it takes an empty one for its own; patterns pick
 * from what it has. Its types know names only.
 */
function exactly<T>(names: readonly string[]): AlgorithmList<T> {
  const patterns = names.map(
    (name) => new RegExp(`^${name.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)}$`),
  );
  return { remove: /./, append: patterns } as unknown as AlgorithmList<T>;
}
