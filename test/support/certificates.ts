import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Paths of PEM files, for 127.0.0.1. */
export type Certificates = {
  readonly ca: string;
  /** A CA that has signed nothing. */
  readonly otherCa: string;
  readonly server: { readonly cert: string; readonly key: string };
  readonly client: { readonly cert: string; readonly key: string };
  /** From the same CA; expired yesterday. */
  readonly expired: { readonly cert: string; readonly key: string };
};

/** Generates certificates in a folder, with openssl. */
export function makeCertificates(folder: string): Certificates {
  const authority = (name: string): string => {
    openssl(
      folder,
      ...REQUEST,
      '-x509',
      '-subj',
      `/CN=${name}`,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.pem`,
    );
    return join(folder, `${name}.pem`);
  };
  const [ca, otherCa] = [authority('ca'), authority('other-ca')];
  writeFileSync(join(folder, 'ext'), 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n');
  const signed = (name: string, days = '2') => {
    openssl(folder, ...REQUEST, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`);
    const by = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'ext', '-days', days];
    openssl(folder, 'x509', '-req', '-in', `${name}.csr`, ...by, '-out', `${name}.pem`);
    return { cert: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) };
  };
  return {
    ca,
    otherCa,
    server: signed('server'),
    client: signed('client'),
    expired: signed('expired', '-1'),
  };
}

const REQUEST = ['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];

function openssl(folder: string, ...words: readonly string[]): void {
  execFileSync('openssl', words, { cwd: folder, stdio: 'pipe' });
}
