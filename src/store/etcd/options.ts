import { configError } from '../../base/errors.ts';
import { readTrusted, UnusableFile } from '../../base/trusted-file.ts';

/** Where an etcd registry is and how to reach it. Paths are absolute. */
export type EtcdOptions = {
  /** Members of one etcd cluster; any of them can serve a request. */
  readonly endpoints: readonly Endpoint[];
  /** The prefix of the keys of this cluster, such as `/fleet`. */
  readonly prefix: string;
  readonly tls: boolean;
  /** With TLS: certificates to trust instead of those of the system, in PEM. */
  readonly etcd_ca_file?: string;
  /** With TLS: the client certificate and its key, in PEM; both or none. */
  readonly etcd_cert_file?: string;
  readonly etcd_key_file?: string;
  /** A user of etcd, and the file whose first line is the password; both or none. */
  readonly etcd_user?: string;
  readonly etcd_password_file?: string;
};

export type Endpoint = { readonly host: string; readonly port: number };

export type Secrets = {
  readonly ca: Buffer | undefined;
  readonly cert: Buffer | undefined;
  readonly key: Buffer | undefined;
  readonly password: string | undefined;
};

/** Reads the files that the options name. Throws `config`, which never shows their content. */
export function readSecrets(options: EtcdOptions): Secrets {
  const [ca, cert, key, password] = (
    ['etcd_ca_file', 'etcd_cert_file', 'etcd_key_file', 'etcd_password_file'] as const
  ).map((name) => readFileOf(name, options[name]));
  const [line = ''] = password?.toString('utf8').split(/\r?\n/) ?? [];
  if (password !== undefined && line === '')
    throw configError(`No password in the first line of etcd_password_file "${options.etcd_password_file}"`);
  return { ca, cert, key, password: line || undefined };
}

function readFileOf(key: string, path: string | undefined): Buffer | undefined {
  if (path === undefined) return undefined;
  try {
    return readTrusted(path);
  } catch (cause) {
    if (cause instanceof UnusableFile)
      throw configError(`Cannot read ${key} "${path}": ${cause.why}`, cause.hint);
    const why = cause instanceof Error && 'code' in cause ? `${cause.code}` : 'unknown error';
    throw configError(`Cannot read ${key} "${path}": ${why}`, undefined, cause);
  }
}
