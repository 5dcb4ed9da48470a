import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };
import { COMMANDS } from '../../src/cli/commands/all.ts';
import { manPages } from '../../src/cli/manual/man-pages.ts';
import { GLOBAL_OPTIONS, keysOf } from '../../src/config/settings.ts';

const pages = manPages();
const page = (file: string): string => (pages.get(file) ?? '').replaceAll('\\-', '-');
const hasGroff = spawnSync('groff', ['--version']).status === 0;

describe('the man pages', () => {
  it('are all in the package', () => {
    expect([...pages.keys()].map((file) => `dist/man/${file}`)).toEqual(manifest.man);
  });

  it('have every command with every option, and all global ones', () => {
    const all = COMMANDS.flatMap((command) => [command, ...(command.subcommands ?? [])]);
    const flags = [
      ...all.flatMap(({ options }) => options.map((each) => each.flags)),
      ...GLOBAL_OPTIONS.map(({ flags }) => flags),
    ];
    for (const { name } of all)
      expect(page('fleetctl.1')).toMatch(new RegExp(`^\\.SS "fleetctl .*\\b${name}\\b`, 'm'));
    for (const each of flags) expect(page('fleetctl.1')).toContain(`.TP\n\\fB${each}\\fR\n`);
  });

  it('have every key of fleet.conf', () => {
    for (const { name } of (['top', 'ssh', 'machine'] as const).flatMap(keysOf))
      expect(page('fleet.conf.5')).toContain(`.TP\n\\fB${name}\\fR\n`);
  });

  it.runIf(hasGroff).each([...pages.keys()])('%s is read by groff without a warning', (file) => {
    const { stdout, stderr } = spawnSync('groff', ['-man', '-Tutf8', '-ww'], {
      input: pages.get(file),
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    expect(stdout.length).toBeGreaterThan(5000);
  });
});
