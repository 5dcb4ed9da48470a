import { describe, expect, it } from 'vitest';
import { clusterAccess } from '../../src/cli/access.ts';
import { differenceOf } from '../../src/cli/endpoint.ts';
import { readWords } from '../../src/cli/machines/change.ts';
import type { Streams } from '../../src/cli/streams.ts';
import type { Config } from '../../src/config/config.ts';
import type { Machine } from '../../src/machine/machine.ts';
import type { Access } from '../../src/ssh/become.ts';
import { sandbox } from '../config/sandbox.ts';
import { streamsWith } from './desk.ts';

const box = sandbox();

const machine = (name: string, address: string): Machine => ({ name, address, metadata: {} });

async function access(text: string, askSecret?: Streams['askSecret'], flags = {}) {
  const config = await box.targets(text, { flags });
  const streams = streamsWith({ cwd: box.cwd, home: box.home, askSecret });
  return clusterAccess(config, config.machines, streams);
}

const reached = ({ ssh }: Access): string => `${ssh.name} ${ssh.user}@${ssh.host}:${ssh.port}`;

describe('a machine of the cluster is reached', () => {
  const CONF = `[ssh]
user = core
port = 2200
[machine.m1]
address = 10.0.0.1
user = root
[machine.m2]
address = 10.0.0.2
port = 22
[machine.vpn]
address = 10.0.0.3
connect_to = 100.64.0.3:2022
`;

  it.each<readonly [string, Machine, string]>([
    ['as its section says', machine('m1', '10.0.0.1'), 'm1 root@10.0.0.1:2200'],
    ['at the address of the registry', machine('m1', '10.0.0.9'), 'm1 root@10.0.0.9:2200'],
    ['at the port of the registry', machine('m2', '10.0.0.2:24'), 'm2 core@10.0.0.2:24'],
    ['not at the port of an address that changed', machine('m2', '10.0.0.9'), 'm2 core@10.0.0.9:2200'],
    ['where this computer connects to', machine('vpn', '10.0.0.3'), 'vpn core@100.64.0.3:2022'],
    ['there with any address', machine('vpn', '10.0.0.9:1'), 'vpn core@100.64.0.3:2022'],
    ['with the section of its old name', machine('front', '10.0.0.1'), 'front root@10.0.0.1:2200'],
    ['with [ssh] without a section', machine('m9', '10.0.0.9'), 'm9 core@10.0.0.9:2200'],
    ['with [ssh] at its own port', machine('m9', '[2001:db8::9]:23'), 'm9 core@2001:db8::9:23'],
  ])('%s', async (_, wanted, expected) => {
    const accessOf = await access(CONF);
    expect(reached(accessOf(wanted))).toBe(expected);
    expect(accessOf(wanted)).toBe(accessOf({ ...wanted, metadata: { a: 'b' } }));
  });

  it('with the address of the registry in fleet.conf, and with another one as a difference', async () => {
    const { machines } = await box.loadText(CONF);
    expect(machines.map(({ machine: { address } }) => address)).toEqual([
      '10.0.0.1',
      '10.0.0.2:22',
      '10.0.0.3',
    ]);
  });

  it('with a password that is asked for when only the registry has a machine that needs it', async () => {
    let asked = 0;
    const ask = async (): Promise<string> => {
      asked++;
      return 'secret';
    };
    const conf = '[ssh]\nuser = core\n[machine.m1]\naddress = a\nuser = root\n';
    const accessOf = await access(conf, ask, { askBecomePass: true });
    expect([asked, accessOf(machine('m1', 'a')).password]).toEqual([0, undefined]);
    const { password } = accessOf(machine('m2', 'b'));
    await password?.offer('m2', async (text) => text === 'secret');
    expect(asked).toBe(1);
  });
});

describe('a controller', () => {
  const machines = (...given: readonly Machine[]) => given.map((each) => ({ machine: each }));

  it('is that of a configuration with the same registry whose machines it has', async () => {
    const config = await box.loadText('[machine.m1]\naddress = 10.0.0.1\n');
    const m1 = machine('m1', '10.0.0.1');
    expect(differenceOf(config, { machines: machines(m1, machine('m2', 'b')) }, true)).toBeUndefined();
    expect(differenceOf(config, { machines: machines(machine('m1', 'b')) }, true)).toBeUndefined();
    expect(differenceOf(config, { machines: machines(machine('m2', 'b')) }, true)).toBe(
      'it does not know these machines: m1',
    );
    expect(differenceOf(config, { machines: machines(m1) }, false)).toBe('it has another registry');
  });

  it('has to have an address of a cluster with its registry on the machines, because such a place has no name', async () => {
    const config: Config = await box.loadText('registry = machines\n[machine.m1]\naddress = 10.0.0.1\n');
    expect(differenceOf(config, { machines: machines(machine('m1', '10.0.0.1')) }, true)).toBeUndefined();
    expect(differenceOf(config, { machines: machines(machine('m1', '10.9.9.9')) }, true)).toBe(
      'it has other addresses for all machines',
    );
  });
});

describe('the words of machines set', () => {
  it('are settings, and changes of metadata in their order', () => {
    const words = [
      'user=core',
      'port=',
      'metadata+=a=1,b=2',
      'metadata-=c,d',
      'identity_file=key',
      'metadata=',
    ];
    expect(readWords(words, '/cwd')).toEqual({
      settings: new Map([
        ['user', 'core'],
        ['port', undefined],
        ['identity_file', '/cwd/key'],
      ]),
      metadata: [
        { kind: 'add', metadata: { a: '1', b: '2' } },
        { kind: 'remove', keys: ['c', 'd'] },
        { kind: 'replace', metadata: {} },
      ],
    });
  });

  it.each(['user', '=x', 'user+=x', 'metadata-=', 'metadata-=a=1', 'metadata+=a', 'metadata=a=1,a=2'])(
    'are refused: %s',
    (word) => {
      expect(() => readWords([word], '/')).toThrow(expect.objectContaining({ code: 'usage' }));
    },
  );
});
