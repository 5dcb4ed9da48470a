import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const hasKeygen = existsSync('/usr/bin/ssh-keygen');

export type Authority = {
  /** Its public key as in a known_hosts line, TYPE BASE64. */
  readonly line: string;
  /** Signs the public key at that path, with options of `ssh-keygen -s`; returns the path of the certificate. */
  readonly sign: (publicKeyFile: string, ...options: readonly string[]) => string;
};

/** A certificate authority with a key of that type in the folder. */
export function newAuthority(folder: string, name = 'authority', type = 'ed25519'): Authority {
  const key = join(folder, name);
  keygen('-q', '-t', type, ...(type === 'rsa' ? ['-b', '1024'] : []), '-N', '', '-f', key);
  const [kind, base64] = readFileSync(`${key}.pub`, 'utf8').split(' ');
  const sign = (publicKeyFile: string, ...options: readonly string[]): string => {
    keygen('-q', '-s', key, '-I', 'test', ...options, publicKeyFile);
    return publicKeyFile.replace(/\.pub$/, '-cert.pub');
  };
  return { line: `${kind} ${base64}`, sign };
}

function keygen(...args: readonly string[]): void {
  const { status, stderr } = spawnSync('ssh-keygen', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ssh-keygen ${args.join(' ')}: ${stderr}`);
}
