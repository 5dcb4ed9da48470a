import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { followPass } from '../../src/cli/follow-pass.ts';
import type { Streams } from '../../src/cli/streams.ts';
import { LiveArea, render } from '../../src/cli/terminal.ts';
import { makeDesk, REFUSING, streamsWith } from './desk.ts';

/** A terminal that understands what is written to it: what it shows now. */
class Screen {
  columns = 80;
  rows = 24;
  writes = 0;
  #lines: string[] = [''];

  write(text: string): void {
    this.writes++;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what terminals obey
    for (const [part] of text.matchAll(/\x1b\[\d*[A-Z]|\r|\n|[^\x1b\r\n]+/g)) {
      if (part === '\n') this.#lines.push('');
      else if (part.endsWith('A') && part.startsWith('\x1b'))
        this.#lines.length = Math.max(1, this.#lines.length - Number.parseInt(part.slice(2), 10));
      else if (part === '\x1b[J') this.#lines[this.#lines.length - 1] = '';
      else if (part !== '\r') this.#lines[this.#lines.length - 1] += part;
    }
  }

  get shown(): readonly string[] {
    return this.#lines.slice(0, -1);
  }
}

const line = (text: string) => ({ text, width: text.length });

describe('lines that come and go', () => {
  it('take the place of the last ones, leave nothing behind, and are not written twice', () => {
    const screen = new Screen();
    const area = new LiveArea(screen);
    screen.write('before\n');
    area.show([line('one'), line('two')]);
    area.show([line('one'), line('two')]);
    expect([screen.shown, screen.writes]).toEqual([['before', 'one', 'two'], 2]);
    area.show([line('three')]);
    expect(screen.shown).toEqual(['before', 'three']);
    area.clear();
    area.clear();
    expect([screen.shown, screen.writes]).toEqual([['before'], 4]);
  });

  it('are erased completely when a narrower window has wrapped them', () => {
    const screen = new Screen();
    const area = new LiveArea(screen);
    area.show([line('x'.repeat(70))]);
    screen.columns = 30;
    const write = vi.spyOn(screen, 'write');
    area.clear();
    expect(write).toHaveBeenCalledWith('\x1b[3A\r\x1b[J');
  });

  it('are hidden during a question', async () => {
    const screen = new Screen();
    const area = new LiveArea(screen);
    area.show([line('one')]);
    await area.hold(async () => {
      area.show([line('two')]);
      expect(screen.shown).toEqual([]);
    });
    area.show([line('two')]);
    expect(screen.shown).toEqual(['two']);
  });
});

describe('a pass that is followed', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  /** The words are loaded at the first look, and that takes real time. */
  async function passTime(ms: number): Promise<void> {
    vi.advanceTimersByTime(Math.min(ms, 250));
    await vi.dynamicImportSettled();
    vi.advanceTimersByTime(Math.max(0, ms - 250));
  }

  function arrange(changes: Partial<Streams> = {}) {
    const printed: string[] = [];
    let words: (() => readonly string[]) | undefined;
    const follower = followPass(
      streamsWith({
        out: (text) => void printed.push(render(text)),
        err: (text) => void printed.push(render(text)),
        exact: (text) => void printed.push(text),
        ifInterrupted: (given) => {
          words = given;
        },
        ...changes,
      }),
      false,
    );
    return { printed, follower, words: () => words?.() };
  }

  it('gets a line in a log when it is really slow, and the next one much later', async () => {
    const { printed, follower } = arrange();
    follower.emit({ kind: 'machine-asked', machine: 'm1' });
    await passTime(2800);
    expect(printed).toEqual([]);
    await passTime(20_000);
    expect(printed).toEqual(['Waiting for m1 to answer\n']);
    await passTime(20_000);
    expect(printed.at(-1)).toMatch(/^Waiting for m1 to answer \(3\ds\)\n$/);
    follower.end();
    await passTime(100_000);
    expect(printed).toHaveLength(2);
  });

  it('gets a line for each voter that the registry waits for, until a majority has answered', async () => {
    const { printed, follower } = arrange();
    follower.onVoters(['m2']);
    await passTime(2000);
    follower.onVoters(['m2', 'm3']);
    await passTime(1500);
    expect(printed).toEqual(['Waiting for m2 to answer\n']);
    await passTime(2000);
    expect(printed).toEqual(['Waiting for m2 to answer\n', 'Waiting for m3 to answer\n']);
    follower.onVoters([]);
    await passTime(100_000);
    expect(printed).toHaveLength(2);
    follower.end();
  });

  it('is shown on a terminal after half a second, until it ends', async () => {
    const screen = new Screen();
    const { printed, follower } = arrange({ live: new LiveArea(screen) });
    follower.emit({ kind: 'machine-asked', machine: 'm1' });
    await passTime(400);
    expect(screen.shown).toEqual([]);
    await passTime(3000);
    expect(screen.shown).toEqual(['Waiting for m1 to answer  3s']);
    follower.end();
    await passTime(3000);
    expect([screen.shown, printed]).toEqual([[], []]);
  });

  it('prints nothing with --quiet', async () => {
    const screen = new Screen();
    const { printed, follower } = arrange({ quiet: true, live: new LiveArea(screen) });
    follower.emit({ kind: 'machine-asked', machine: 'm1' });
    await passTime(100_000);
    expect([screen.writes, printed]).toEqual([0, []]);
  });

  it('has words for a signal until it ends', () => {
    const { follower, words } = arrange();
    expect(words()).toEqual(['Interrupted.']);
    follower.end();
    expect(words()).toBeUndefined();
  });
});

describe('--quiet', () => {
  const UNIT = '[Service]\nExecStart=/bin/true\n';

  it.each<readonly [string, readonly string[], Readonly<Record<string, string>>]>([
    ['before the verb', ['-q', 'submit'], {}],
    ['after it', ['submit', '--quiet'], {}],
    ['in the environment', ['submit'], { FLEETCTL_QUIET: 'true' }],
  ])('%s drops what went well', async (_, words, env) => {
    const desk = await makeDesk(REFUSING);
    await desk.write('a.service', UNIT);
    expect(await desk.run([...words, 'a.service'], env)).toEqual({ status: 0, out: '', err: '' });
  });

  it('drops neither data, nor warnings, nor what --dry-run shows', async () => {
    const desk = await makeDesk(REFUSING);
    await desk.write('a.service', UNIT);
    expect((await desk.run(['-q', 'submit', '--dry-run', 'a.service'])).out).toBe(
      'registry: add a.service\n',
    );
    await desk.run(['-q', 'submit', 'a.service']);
    expect((await desk.run(['-q', 'cat', 'a'])).out).toBe(UNIT);
    await desk.write('a.service', `${UNIT}# other\n`);
    expect((await desk.run(['-q', 'submit', 'a.service'])).err).toMatch(/^Warning: unit "a.service"/);
  });

  it('accepts only yes or no', async () => {
    const desk = await makeDesk(REFUSING);
    expect(await desk.run(['cat', 'a'], { FLEETCTL_QUIET: 'very' })).toEqual({
      status: 2,
      out: '',
      err: 'Error: Cannot use environment variable "FLEETCTL_QUIET": "very" is not true or false\nhint: Set it to true or unset it\n',
    });
  });
});
