import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../../src/cli/commands/all.ts';
import { TITLES, TOPIC_ROWS, type Topic } from '../../src/cli/manual/titles.ts';
import { TOPICS } from '../../src/cli/manual/topics.ts';
import { showPaged } from '../../src/cli/show-help.ts';
import type { Streams } from '../../src/cli/streams.ts';
import { render } from '../../src/cli/terminal.ts';
import { TOPIC_FILES } from '../support/manual.ts';
import { makeDesk, streamsWith } from './desk.ts';

const NAMES = Object.keys(TITLES) as Topic[];

describe('fleetctl help', () => {
  it('has every topic of the manual, with the title of its page', () => {
    expect(new Set<string>(NAMES)).toEqual(new Set(TOPIC_FILES));
    for (const name of NAMES) expect(TOPICS[name]).toMatch(new RegExp(`^# ${TITLES[name]}\n`));
  });

  it('lists commands and topics', async () => {
    const desk = await makeDesk();
    const { status, out } = await desk.run(['help']);
    expect(status).toBe(0);
    expect(out.startsWith((await desk.run(['--help'])).out)).toBe(true);
    for (const { name } of COMMANDS) expect(out).toContain(`  ${name} `);
    for (const [name, title] of TOPIC_ROWS) expect(out).toMatch(new RegExp(`^  ${name} +${title}$`, 'm'));
  });

  it.each(NAMES)('shows the topic %s within 80 columns, but for code', async (name) => {
    const { status, out, err } = await (await makeDesk()).run(['help', name]);
    expect({ status, err }).toEqual({ status: 0, err: '' });
    const page = out.slice(out.indexOf(TITLES[name].toUpperCase()));
    const text = page.split('\n').filter((line) => !line.startsWith('    '));
    // A word may be longer than a line.
    expect(text.filter((line) => line.length > 80 && /\S +\S/.test(line.slice(8)))).toEqual([]);
    expect(out).not.toMatch(/\*\*|\]\(/);
  });

  it('shows a topic within COLUMNS, as the help of commands', async () => {
    const { out } = await (await makeDesk()).run(['help', 'jobs'], { COLUMNS: '50' });
    const text = out.split('\n').filter((line) => !line.startsWith('    '));
    expect(text.filter((line) => line.length > 50)).toEqual([]);
  });

  it.each(['start', 'help'])('shows the command %s as --help does', async (name) => {
    const desk = await makeDesk();
    const { status, out } = await desk.run(['help', name]);
    expect(status).toBe(0);
    expect(out).toContain(`Usage: fleetctl ${name} `);
    expect(await desk.run([name, '--help'])).toEqual({ status, out, err: '' });
  });

  it.each([[[]], [['json']], [['machines', 'add']]])('takes options too: %j', async (words) => {
    const desk = await makeDesk();
    const plain = await desk.run(['help', ...words]);
    expect(plain.status).toBe(0);
    expect(await desk.run(['-q', 'help', ...words])).toEqual(plain);
    expect(await desk.run(['help', '-v', ...words])).toEqual(plain);
  });

  it('shows a word that is both as both', async () => {
    const { out } = await (await makeDesk()).run(['help', 'controller']);
    expect(out).toContain('Usage: fleetctl controller');
    expect(out).toContain('THE CONTROLLER: FLEETD');
  });

  it.each([
    ['secrity', 'Did you mean security?'],
    ['statez', 'Did you mean one of states, status?'],
    ['controler', 'Did you mean controller?'],
  ])('suggests what %s may mean', async (word, question) => {
    const { status, out, err } = await (await makeDesk()).run(['help', word]);
    expect({ status, out }).toEqual({ status: 2, out: '' });
    expect(err).toContain(`Error: unknown command or topic '${word}'\n(${question})`);
  });
});

describe('the pager', () => {
  const LONG = 'line\n'.repeat(100);

  const shown = async (text: string, env: Streams['env'], rows = 24): Promise<string> => {
    let out = '';
    const streams = streamsWith({
      out: (part) => {
        out += render(part);
      },
      screen: { size: () => ({ columns: 80, rows }), draw: () => undefined },
      env,
    });
    await showPaged(text, streams);
    return out;
  };

  it.each([
    ['a short text', 'short\n', { PAGER: 'false' }, 'short\n'],
    ['a long text without a pager', LONG, { PAGER: '' }, LONG],
    ['a long text whose pager is not there', LONG, { PAGER: '/nowhere/pager' }, LONG],
    ['a long text that the pager has shown', LONG, { PAGER: 'cat >/dev/null' }, ''],
    ['a long text whose pager was left', LONG, { PAGER: 'exit 1' }, ''],
  ])('%s', async (_, text, env, expected) => {
    expect(await shown(text, { PATH: process.env.PATH, ...env })).toBe(expected);
  });

  it('takes no part in a pipe', () => {
    const { stdout } = spawnSync(process.execPath, ['bin/fleetctl', 'help', 'json'], {
      env: { ...process.env, PAGER: 'false' },
      encoding: 'utf8',
    });
    expect(stdout).toContain('OUTPUT FOR SCRIPTS');
  });
});
