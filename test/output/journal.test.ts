import { describe, expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import { journalStatus } from '../../src/cli/exit-status.ts';
import type { JournalResult, PlacedEntry } from '../../src/operations/journal.ts';
import { canFormat, entriesJson, entryLines, missingLines } from '../../src/output/journal.ts';

function entry(fields: Readonly<Record<string, string>> = {}, offsetMinutes = 0): PlacedEntry {
  const all = {
    MESSAGE: 'Hello',
    _HOSTNAME: 'host',
    SYSLOG_IDENTIFIER: 'sh',
    _PID: '252',
    __MONOTONIC_TIMESTAMP: '7510009973',
    ...fields,
  };
  return {
    cursor: 'c1',
    // 2026-11-02T22:09:01.000042Z
    time: 1_793_657_341_000_042,
    fields: all,
    json: JSON.stringify(all),
    unit: 'a.service',
    machine: { name: 'm1', id: undefined, address: '10.0.0.1' },
    clock: { now: 0, offsetMinutes, zone: offsetMinutes === 0 ? 'UTC' : 'XYZ' },
  };
}

const PLAIN = { merged: false, colours: false };

describe('an entry in the formats of journalctl', () => {
  it.each([
    ['short', 'Nov 02 22:09:01 host sh[252]: Hello'],
    ['short-precise', 'Nov 02 22:09:01.000042 host sh[252]: Hello'],
    ['short-full', 'Mon 2026-11-02 22:09:01 UTC host sh[252]: Hello'],
    ['short-iso', '2026-11-02T22:09:01+0000 host sh[252]: Hello'],
    ['short-iso-precise', '2026-11-02T22:09:01.000042+0000 host sh[252]: Hello'],
    ['short-unix', '1793657341.000042 host sh[252]: Hello'],
    ['short-monotonic', '[ 7510.009973] host sh[252]: Hello'],
    ['cat', 'Hello'],
  ])('%s', (format, line) => {
    expect(entryLines([entry()], format, PLAIN)).toEqual([[line]]);
    expect(canFormat(format)).toBe(true);
  });

  it('is written in the time zone of its machine', () => {
    expect(entryLines([entry({}, -330)], 'short-iso', PLAIN)).toEqual([
      ['2026-11-02T16:39:01-0530 host sh[252]: Hello'],
    ]);
    expect(entryLines([entry({}, 120)], 'short-full', PLAIN)).toEqual([
      ['Tue 2026-11-03 00:09:01 XYZ host sh[252]: Hello'],
    ]);
  });

  it('of several lines is indented like the first', () => {
    expect(entryLines([entry({ MESSAGE: 'one\ntwo\n' })], 'short', PLAIN)).toEqual([
      ['Nov 02 22:09:01 host sh[252]: one'],
      ['                              two'],
    ]);
  });

  it('has an identifier of one line', () => {
    expect(entryLines([entry({ SYSLOG_IDENTIFIER: 'a\nb\u001b', _PID: '1' })], 'short', PLAIN)).toEqual([
      ['Nov 02 22:09:01 host a\\nb\\u001b[1]: Hello'],
    ]);
  });

  it.each(['verbose', 'export', 'json-pretty', 'toString'])('%s is left to journalctl', (format) => {
    expect(canFormat(format)).toBe(false);
  });
});

describe('merged entries', () => {
  it('say where they are from, on every line', () => {
    const lines = entryLines([entry({ MESSAGE: 'one\ntwo' })], 'cat', { merged: true, colours: false });
    expect(lines).toEqual([
      ['[m1 a.service]', ' ', 'one'],
      ['[m1 a.service]', ' ', 'two'],
    ]);
  });

  it('are in a colour that is the same every time', () => {
    const lines = entryLines([entry(), entry()], 'cat', { merged: true, colours: true });
    expect(lines[0]).toEqual([{ text: '[m1 a.service]', colour: expect.any(Number) }, ' ', 'Hello']);
    expect(lines[1]).toEqual(lines[0]);
  });

  it('are JSON as it came, with the place in it', () => {
    expect(JSON.parse(entriesJson([entry()], true))).toMatchObject({
      MESSAGE: 'Hello',
      FLEET_MACHINE: 'm1',
      FLEET_UNIT: 'a.service',
    });
    expect(entriesJson([entry()], false)).toBe(`${entry().json}\n`);
  });
});

describe('what a journal lacks', () => {
  const missing = { unit: 'b.service', error: new FleetError('unit-not-found', 'No such unit: "b.service"') };
  const nowhere = {
    unit: 'c.service',
    error: new FleetError('not-loaded', 'Unit "c.service" is on no machine'),
  };
  const refused = new FleetError('remote-script', 'Cannot read the journal on machine "m1": no');
  const silent = {
    machine: { name: 'm2', id: undefined, address: '10.0.0.2' },
    message: 'Cannot reach machine "m2"',
    hint: undefined,
    silentMs: 0,
  };
  const result = (changes: Partial<JournalResult>): JournalResult => ({
    problems: [],
    unreachable: [],
    failures: [],
    ...changes,
  });

  it('is shown', () => {
    expect(missingLines(result({ problems: [missing], failures: [refused], unreachable: [silent] }))).toEqual(
      [
        'Error: No such unit: "b.service"',
        'Error: Cannot read the journal on machine "m1": no',
        'Warning: Cannot reach machine "m2"; the state of its units is unknown',
      ],
    );
  });

  it.each([
    ['nothing', result({}), 0],
    ['a unit that is on no machine', result({ problems: [nowhere] }), 1],
    ['a unit that does not exist', result({ problems: [nowhere, missing], unreachable: [silent] }), 4],
    ['a machine that does not answer', result({ unreachable: [silent] }), 5],
    ['a journal that cannot be read', result({ failures: [refused], unreachable: [silent] }), 1],
  ])('%s: the exit status', (_, lacks, status) => {
    expect(journalStatus(lacks)).toBe(status);
  });
});
