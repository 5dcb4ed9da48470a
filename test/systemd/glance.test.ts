import { describe, expect, it } from 'vitest';
import type { Section } from '../../src/systemd/frame.ts';
import { type Looks, readLooks, ShownUnits } from '../../src/systemd/glance.ts';
import { parseShow, type ShownUnit } from '../../src/systemd/show.ts';

const RUN = 'a'.repeat(32);
const MINUTES = 60_000;

function sections(glance: string, runs: string, status = 0): readonly Section[] {
  return [
    { name: 'glance', status, stdout: glance, stderr: '' },
    { name: 'runs', status, stdout: runs, stderr: '' },
  ];
}

/** Of these units only a.service runs. */
function shown(...units: readonly string[]): readonly ShownUnit[] {
  const stateOf = (unit: string): string =>
    unit === 'a.service' ? 'ActiveState=active\nSubState=running' : 'ActiveState=inactive\nSubState=dead';
  return parseShow(
    units.map((unit) => `Id=${unit}\nNames=${unit}\nLoadState=loaded\n${stateOf(unit)}\n`).join('\n'),
  );
}

describe('the look of a unit', () => {
  it('is its line in the list, whatever the columns, and its run', () => {
    const looks = readLooks(
      sections(
        `web.service              loaded    active running     The web\n● old\\x2d1.service not-found failed failed  old\n`,
        `invocation:web.service 'invocation:web.service' -> '${RUN}'\n`,
      ),
    );
    expect(looks?.get('web.service')).toBe(`web.service loaded active running The web ${RUN}`);
    expect(looks?.get('old\\x2d1.service')).toBe('old\\x2d1.service not-found failed failed old');
    expect(looks?.has('none.service')).toBe(false);
  });

  it('is not known where a command failed, or there are no links to runs', () => {
    expect(readLooks(sections('', '', 1))).toBeUndefined();
    expect(readLooks([])).toBeUndefined();
  });
});

describe('a unit has to be shown', () => {
  const looks = (run: string): Looks => new Map([['a.service', `a.service loaded active running ${run}`]]);
  const units = ['a.service', 'b.service'];

  it('when it looks different, or has not been for two minutes', () => {
    const memory = new ShownUnits();
    expect(memory.missing(units, looks('1'), 0)).toEqual(units);
    memory.learn(units, looks('1'), shown(...units), 0);
    expect(memory.missing(units, looks('1'), 2 * MINUTES - 1)).toEqual([]);
    expect(memory.missing(units, looks('2'), 1)).toEqual(['a.service']);
    expect(memory.missing(units, new Map(), 1)).toEqual(['a.service']);
    expect(memory.missing(units, looks('1'), 2 * MINUTES)).toEqual(units);
  });

  it('always where looks are not known', () => {
    const memory = new ShownUnits();
    memory.learn(units, undefined, shown(...units), 0);
    expect(memory.missing(units, undefined, 1)).toEqual(units);
    expect(memory.missing(units, looks('1'), 1)).toEqual(['a.service']);
  });

  it('again after it was not', () => {
    const memory = new ShownUnits();
    memory.learn(units, looks('1'), shown('a.service'), 0);
    expect(memory.missing(units, looks('1'), 1)).toEqual(['b.service']);
  });

  it('again when it was shown in another state than it looked', () => {
    const memory = new ShownUnits();
    // systemd may list nothing while it executes itself; the unit is stopped and forgotten after that.
    memory.learn(units, new Map(), shown(...units), 0);
    expect(memory.missing(units, new Map(), 1)).toEqual(['a.service']);
    const ends = new Map([['a.service', 'a.service loaded deactivating stop-sigterm']]);
    memory.learn(units, ends, shown(...units), 0);
    expect(memory.missing(units, ends, 1)).toEqual(['a.service']);
  });

  it('and one that goes by two names is one', () => {
    const memory = new ShownUnits();
    const both = parseShow(
      'Id=a.service\nNames=a.service b.service\nLoadState=loaded\nActiveState=active\nSubState=running\n',
    );
    memory.learn(units, looks('1'), both, 0);
    expect(memory.keep(units)).toEqual(both);
  });

  it('after it had been forgotten, because nobody asked for it', () => {
    const memory = new ShownUnits();
    memory.learn(units, looks('1'), shown(...units), 0);
    expect(memory.keep(['b.service']).map(({ names }) => names)).toEqual([['b.service']]);
    expect(memory.missing(units, looks('1'), 1)).toEqual(['a.service']);
  });
});
