import { FleetError } from '../../base/errors.ts';
import { readTrusted, UnusableFile } from '../../base/trusted-file.ts';

/** Where an etcd registry is and how to reach it. Paths are absolute. */
export type EtcdOptions = {
  /** Members of one etcd; any of them will do. */
  readonly endpoints: readonly Endpoint[];
  /** What the keys of this cluster start with, such as `/fleet`. */
  readonly prefix: string;
  readonly tls: boolean;
  /** With TLS: certificates to trust instead of those of the system, in PEM. */
  readonly caFile?: string;
  /** With TLS: the certificate that shows who we are, and its key, in PEM; both or none. */
  readonly certFile?: string;
  readonly keyFile?: string;
  /** A user of etcd, and the file whose first line is the password; both or none. */
  readonly user?: string;
  readonly passwordFile?: string;
};

export type Endpoint = { readonly host: string; readonly port: number };

export type Secrets = {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly password?: string;
};

/** Reads the files that the options name. Throws `config`, which never tells what is in them. */
export function readSecrets({ caFile, certFile, keyFile, passwordFile }: EtcdOptions): Secrets {
  return {
    ...(caFile !== undefined && { ca: read('etcd_ca_file', caFile) }),
    ...(certFile !== undefined && { cert: read('etcd_cert_file', certFile) }),
    ...(keyFile !== undefined && { key: read('etcd_key_file', keyFile) }),
    ...(passwordFile !== undefined && { password: readPassword(passwordFile) }),
  };
}

function readPassword(path: string): string {
  const [line = ''] = read('etcd_password_file', path).toString('utf8').split(/\r?\n/);
  if (line !== '') return line;
  throw new FleetError('config', `No password in the first line of etcd_password_file "${path}"`);
}

function read(key: string, path: string): Buffer {
  try {
    return readTrusted(path);
  } catch (cause) {
    if (cause instanceof UnusableFile)
      throw new FleetError(
        'config',
        `Cannot read ${key} "${path}": ${cause.why}`,
        cause.hint === undefined ? {} : { hint: cause.hint },
      );
    const why = cause instanceof Error && 'code' in cause ? `${cause.code}` : 'unknown error';
    throw new FleetError('config', `Cannot read ${key} "${path}": ${why}`, { cause });
  }
}
