import { describe, expect, it } from 'vitest';
import { hashUnitFile, parseUnitFile } from '../../src/unit/unit-file.ts';

const LOOP = 'ExecStart=/bin/sh -c "while true; do echo Hello; sleep 1; done"';

/** Unit files that were given to the original fleet, and the hashes it showed for them. */
const RECORDED: readonly (readonly [name: string, hash: string, ...lines: string[]])[] = [
  [
    'hello',
    '8c2d57110ebadc563d8409054afa5149b06db453',
    '[Unit]',
    'Description=Hello World',
    '',
    '[Service]',
    LOOP,
  ],
  [
    'hello v2',
    '22260de9e7387c870494b4a4c31d5de7d5d5322c',
    '[Unit]',
    'Description=Hello World v2',
    '',
    '[Service]',
    LOOP,
  ],
  [
    'hello@',
    '22d3dc37b5c797b4c9bcc279d7b769c13ec6a865',
    '[Unit]',
    'Description=Hello instance %i on %H',
    '',
    '[Service]',
    'ExecStart=/bin/sh -c "while true; do echo Hello %i %m %n; sleep 1; done"',
  ],
  ['new', '2d432f4a06608c1a8b2848b66c836793a1d48ce6', '[Service]', 'ExecStart=/bin/sleep 1000'],
  ['false', '1fa41b0', '[Service]', 'ExecStart=/bin/false'],
  ['noexec', '26e69de', '[Service]', 'ExecStart=/usr/bin/does-not-exist'],
  ['noservice', 'f09f706', '[Unit]', 'Description=no ExecStart at all'],
  ['nowhere', 'df7b458', '[Service]', LOOP, '', '[X-Fleet]', 'MachineMetadata=role=nonexistent'],
  ['machidgone', 'e83ae45', '[Service]', LOOP, '', '[X-Fleet]', 'MachineID=deadbeefdeadbeefdeadbeefdeadbeef'],
  [
    'spread@',
    '938818c',
    '[Unit]',
    'Description=Spread %i',
    '',
    '[Service]',
    LOOP,
    '',
    '[X-Fleet]',
    'Conflicts=spread@*.service',
  ],
  ['buddy', '9179772', '[Service]', LOOP, '', '[X-Fleet]', 'MachineOf=hello.service'],
  ['orphan', '26463a6', '[Service]', LOOP, '', '[X-Fleet]', 'MachineOf=notthere.service'],
  ['replacer', 'e364803', '[Service]', LOOP, '', '[X-Fleet]', 'Replaces=hello.service'],
  [
    'global',
    '1ef15be',
    '[Unit]',
    'Description=Global one',
    '',
    '[Service]',
    LOOP,
    '',
    '[X-Fleet]',
    'Global=true',
  ],
  ['globalweb', 'e5ec4f3', '[Service]', LOOP, '', '[X-Fleet]', 'Global=true', 'MachineMetadata=role=web'],
];

describe('hashUnitFile', () => {
  it.each(RECORDED)('gives %s the hash of fleet, %s', (_, expected, ...lines) => {
    const hash = hashUnitFile(parseUnitFile(`${lines.join('\n')}\n`));
    expect(hash).toMatch(/^[0-9a-f]{40}$/);
    expect(hash.slice(0, expected.length)).toBe(expected);
  });

  it('changes with a value, a name, a section and the order', () => {
    const texts = [
      '[S]\nA=1\nB=2',
      '[S]\nA=1\nB=3',
      '[S]\nA=1\nC=2',
      '[T]\nA=1\nB=2',
      '[S]\nB=2\nA=1',
      '[S]\nA=1\n[T]\nB=2',
    ];
    expect(new Set(texts.map((text) => hashUnitFile(parseUnitFile(text)))).size).toBe(texts.length);
  });
});
