import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EXIT } from '../src/cli/exit-status.ts';
import { COMMANDS, GLOBAL_OPTIONS } from '../src/cli/program.ts';
import { MACHINES, UNIT_FILES, UNITS } from '../src/output/listings.ts';

const README = readFileSync(resolve(import.meta.dirname, '../README.md'), 'utf8');

describe('the README', () => {
  it.each(COMMANDS.map(({ name }) => name))('has a row for the command %s', (name) => {
    expect(README).toMatch(new RegExp(`^\\| .*\`${name}\\b.*\\|$`, 'm'));
  });

  it.each(GLOBAL_OPTIONS.map(([flags]) => /--[\w-]+/.exec(flags)?.[0] ?? ''))(
    'names the option %s and its variable',
    (flag) => {
      const variable = `FLEETCTL_${flag.slice(2).toUpperCase().replaceAll('-', '_')}`;
      expect(README).toContain(`\`${flag}\``);
      expect(README).toContain(`\`${variable}\``);
    },
  );

  it('has exactly the exit statuses of the program', () => {
    const table = README.slice(README.indexOf('| status | meaning |')).split('\n\n')[0] ?? '';
    const documented = [...table.matchAll(/^\| (\d+) \|/gm)].map(([, status]) => Number(status));
    expect(documented).toEqual(Object.values(EXIT).toSorted((a, b) => a - b));
  });

  it('says which key of fleet.conf is which, and no others', () => {
    const table = README.slice(README.indexOf('| section | key |')).split('\n\n')[0] ?? '';
    const documented = [...table.matchAll(/^\| .+? \| `(\w+)` \|/gm)].map(([, key]) => key);
    expect(new Set(documented)).toEqual(
      new Set([
        'address',
        'agent_ttl',
        'become',
        'become_password_command',
        'connect_timeout',
        'etcd_ca_file',
        'etcd_cert_file',
        'etcd_key_file',
        'etcd_password_file',
        'etcd_user',
        'identity_file',
        'identity_passphrase_file',
        'keepalive_timeout',
        'known_hosts_file',
        'metadata',
        'port',
        'registry',
        'settle',
        'strict_host_key_checking',
        'sudo',
        'user',
      ]),
    );
  });
});

describe('help', () => {
  it.each(COMMANDS.map((command) => [command.name, command] as const))(
    'of %s has examples that name it',
    (name, command) => {
      expect(command.examples.length).toBeGreaterThan(0);
      for (const [line] of command.examples) expect(line).toContain(`fleetctl ${name}`);
    },
  );

  it.each([
    ['list-units', UNITS],
    ['list-unit-files', UNIT_FILES],
    ['list-machines', MACHINES],
  ] as const)('of %s names every field', (name, view) => {
    const command = COMMANDS.find((candidate) => candidate.name === name);
    const fields = command?.options.find(({ flags }) => flags.startsWith('--fields'))?.description ?? '';
    for (const { field } of view.columns) expect(fields).toContain(field);
  });
});
