import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sandbox } from './sandbox.ts';

const box = sandbox();
const MACHINE = '[machine.a]\naddress = 10.0.0.1\n';

describe('a registry in etcd', () => {
  it.each([
    ['one member', 'etcd://10.0.0.1:2379/fleet', [['10.0.0.1', 2379]], '/fleet', false],
    ['port and prefix left out', 'etcd://etcd.example', [['etcd.example', 2379]], '/fleet', false],
    [
      'several members, one of them IPv6',
      'etcd://a:1,b:2,[::1]:3/x/y',
      [
        ['a', 1],
        ['b', 2],
        ['::1', 3],
      ],
      '/x/y',
      false,
    ],
    ['TLS', 'etcds://a/fleet', [['a', 2379]], '/fleet', true],
    ['a slash after the prefix', 'etcd://a/x/y/', [['a', 2379]], '/x/y', false],
    ['a slash in place of a prefix', 'etcd://a/', [['a', 2379]], '/fleet', false],
  ])('with %s', async (_, value, endpoints, prefix, tls) => {
    const { registry } = await box.loadText(`registry = ${value}\n${MACHINE}`);
    expect(registry).toEqual({
      kind: 'etcd',
      endpoints: endpoints.map(([host, port]) => ({ host, port })),
      prefix,
      tls,
    });
  });

  it('comes with files beside fleet.conf, and a user', async () => {
    const keys = ['ca', 'cert', 'key', 'password'].map((key) => `etcd_${key}_file = pki/${key}\n`).join('');
    const config = await box.loadText(`registry = etcds://a\n${keys}etcd_user = fleet\n${MACHINE}`);
    const at = (name: string): string => join(box.cwd, 'pki', name);
    expect(config).toMatchObject({
      etcd_ca_file: at('ca'),
      etcd_cert_file: at('cert'),
      etcd_key_file: at('key'),
      etcd_user: 'fleet',
      etcd_password_file: at('password'),
    });
  });

  it.each([
    ['a CA without TLS', 'etcd://a\netcd_ca_file = ca', 'are for TLS'],
    [
      'a certificate without its key',
      'etcds://a\netcd_cert_file = cert',
      'etcd_cert_file requires etcd_key_file',
    ],
    ['a user without a password', 'etcd://a\netcd_user = me', 'etcd_user requires etcd_password_file'],
    [
      'a password without a user',
      'etcd://a\netcd_password_file = p',
      'etcd_password_file requires etcd_user',
    ],
  ])('is refused with %s', async (_, text, message) => {
    await expect(box.loadText(`registry = ${text}\n${MACHINE}`)).rejects.toMatchObject({
      code: 'config',
      message: expect.stringContaining(message),
    });
  });

  it('is not there, and what belongs to it may be', async () => {
    const { registry } = await box.loadText(`etcd_user = me\n${MACHINE}`);
    expect(registry.kind).toBe('file');
  });
});
