import { describe, expect, it } from 'vitest';
import type { Section } from '../../src/systemd/frame.ts';
import { parseShow, type ShownUnit } from '../../src/systemd/show.ts';
import { type Listing, readListing, ShowCache } from '../../src/systemd/show-cache.ts';

const RUN = 'a'.repeat(32);
const MINUTES = 60_000;

function sections(listed: string, runs: string, status = 0): readonly Section[] {
  return [
    { name: 'listed', status, stdout: listed, stderr: '' },
    { name: 'invocations', status, stdout: runs, stderr: '' },
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

describe('the entry of a unit in the list', () => {
  it('is its line, independent of the columns, and its invocation id', () => {
    const listing = readListing(
      sections(
        `web.service              loaded    active running     The web\n● old\\x2d1.service not-found failed failed  old\n`,
        `invocation:web.service 'invocation:web.service' -> '${RUN}'\n`,
      ),
    );
    expect(listing?.get('web.service')).toBe(`web.service loaded active running The web ${RUN}`);
    expect(listing?.get('old\\x2d1.service')).toBe('old\\x2d1.service not-found failed failed old');
    expect(listing?.has('none.service')).toBe(false);
  });

  it('is unknown if a command failed, or there are no invocation ids', () => {
    expect(readListing(sections('', '', 1))).toBeUndefined();
    expect(readListing([])).toBeUndefined();
  });
});

describe('a unit has to be shown', () => {
  const listing = (run: string): Listing =>
    new Map([['a.service', `a.service loaded active running ${run}`]]);
  const units = ['a.service', 'b.service'];

  it('when it listing different, or has not been for two minutes', () => {
    const cache = new ShowCache();
    expect(cache.stale(units, listing('1'), 0)).toEqual(units);
    cache.update(units, listing('1'), shown(...units), 0);
    expect(cache.stale(units, listing('1'), 2 * MINUTES - 1)).toEqual([]);
    expect(cache.stale(units, listing('2'), 1)).toEqual(['a.service']);
    expect(cache.stale(units, new Map(), 1)).toEqual(['a.service']);
    expect(cache.stale(units, listing('1'), 2 * MINUTES)).toEqual(units);
  });

  it('always without a list', () => {
    const cache = new ShowCache();
    cache.update(units, undefined, shown(...units), 0);
    expect(cache.stale(units, undefined, 1)).toEqual(units);
    expect(cache.stale(units, listing('1'), 1)).toEqual(['a.service']);
  });

  it('again after it was not', () => {
    const cache = new ShowCache();
    cache.update(units, listing('1'), shown('a.service'), 0);
    expect(cache.stale(units, listing('1'), 1)).toEqual(['b.service']);
  });

  it('again when it was shown in another state than it was listed', () => {
    const cache = new ShowCache();
    // systemd may list nothing while it executes itself; the unit is stopped and forgotten after that.
    cache.update(units, new Map(), shown(...units), 0);
    expect(cache.stale(units, new Map(), 1)).toEqual(['a.service']);
    const ends = new Map([['a.service', 'a.service loaded deactivating stop-sigterm']]);
    cache.update(units, ends, shown(...units), 0);
    expect(cache.stale(units, ends, 1)).toEqual(['a.service']);
  });

  it('and one with two names once', () => {
    const cache = new ShowCache();
    const both = parseShow(
      'Id=a.service\nNames=a.service b.service\nLoadState=loaded\nActiveState=active\nSubState=running\n',
    );
    cache.update(units, listing('1'), both, 0);
    expect(cache.retain(units)).toEqual(both);
  });

  it('again after an observation without it', () => {
    const cache = new ShowCache();
    cache.update(units, listing('1'), shown(...units), 0);
    expect(cache.retain(['b.service']).map(({ names }) => names)).toEqual([['b.service']]);
    expect(cache.stale(units, listing('1'), 1)).toEqual(['a.service']);
  });
});
