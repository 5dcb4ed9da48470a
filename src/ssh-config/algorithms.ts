import { matchesList, matchesPattern } from '../ssh/pattern.ts';

/**
 * Reads a list of algorithms of ssh_config: names, best first. `+a,b` appends to the defaults, `^a,b` prepends, `-a,b*`
 * removes, any other text replaces them (ssh_config(5), Ciphers). Names may be patterns; only `supported` names are
 * returned.
 */
export function assembleNames(
  list: string,
  defaults: readonly string[],
  supported: readonly string[],
): readonly string[] {
  const names = list.slice(1);
  switch (list[0]) {
    case '-':
      return defaults.filter((name) => !matchesList(name, names));
    case '+':
      return unique([...defaults, ...select(names, supported)]);
    case '^':
      return unique([...select(names, supported), ...defaults]);
    default:
      return select(list, supported);
  }
}

/** The supported names that a list contains, in the order of the list. */
function select(list: string, supported: readonly string[]): readonly string[] {
  return unique(
    list.split(',').flatMap((pattern) => supported.filter((name) => matchesPattern(name, pattern))),
  );
}

function unique(names: readonly string[]): readonly string[] {
  return [...new Set(names)];
}

/**
 * The algorithms that ssh2 offers by default, and the others that it supports (its lib/protocol/constants.js). Those of
 * `offered` are the defaults that lists with `+`, `-` and `^` change. `ssh/ssh2/offer.ts` decides what a host is offered.
 */
export const SSH2_ALGORITHMS = {
  kexalgorithms: {
    offered: [
      'curve25519-sha256@libssh.org',
      'curve25519-sha256',
      'ecdh-sha2-nistp256',
      'ecdh-sha2-nistp384',
      'ecdh-sha2-nistp521',
      'diffie-hellman-group-exchange-sha256',
      'diffie-hellman-group14-sha256',
      'diffie-hellman-group15-sha512',
      'diffie-hellman-group16-sha512',
      'diffie-hellman-group17-sha512',
      'diffie-hellman-group18-sha512',
    ],
    more: ['diffie-hellman-group-exchange-sha1', 'diffie-hellman-group14-sha1', 'diffie-hellman-group1-sha1'],
  },
  ciphers: {
    offered: [
      'aes128-gcm@openssh.com',
      'aes256-gcm@openssh.com',
      'aes128-ctr',
      'aes192-ctr',
      'aes256-ctr',
      'chacha20-poly1305@openssh.com',
    ],
    more: ['aes256-cbc', 'aes192-cbc', 'aes128-cbc', '3des-cbc'],
  },
  macs: {
    offered: [
      'hmac-sha2-256-etm@openssh.com',
      'hmac-sha2-512-etm@openssh.com',
      'hmac-sha1-etm@openssh.com',
      'hmac-sha2-256',
      'hmac-sha2-512',
      'hmac-sha1',
    ],
    more: ['hmac-md5', 'hmac-sha1-96', 'hmac-md5-96'],
  },
  hostkeyalgorithms: {
    offered: [
      'ssh-ed25519',
      'ecdsa-sha2-nistp256',
      'ecdsa-sha2-nistp384',
      'ecdsa-sha2-nistp521',
      'rsa-sha2-512',
      'rsa-sha2-256',
    ],
    more: [],
  },
} as const;
