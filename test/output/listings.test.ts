import { describe, expect, it } from 'vitest';
import { isAlike } from '../../src/cluster/unit-state.ts';
import type { MachineRow } from '../../src/operations/list-machines.ts';
import type { UnitFileRow } from '../../src/operations/list-unit-files.ts';
import type { UnitRow } from '../../src/operations/list-units.ts';
import type { MachineRef } from '../../src/operations/listing.ts';
import { type ListingView, rowsJson } from '../../src/output/field.ts';
import { HISTORY, MACHINES, UNIT_FILES, UNITS } from '../../src/output/listings.ts';
import { renderTable, selectColumns, type TableOptions } from '../../src/output/table.ts';
import { STATE_PROPERTIES } from '../../src/systemd/show.ts';
import { systemdState } from '../support/builders.ts';

const WEB: MachineRef = { name: 'web-1', id: '148a18ff6e954cd892dac9de9bb90d5a', address: '10.10.1.1' };
const SILENT: MachineRef = { name: 'web-2', id: undefined, address: '10.10.1.2' };

async function show<Row>(
  view: ListingView<Row>,
  rows: readonly Row[],
  options: Partial<TableOptions> & { readonly fields?: readonly string[] } = {},
): Promise<string> {
  const columns = selectColumns(view.fields, options.fields ?? view.defaults);
  return `\n${await renderTable(columns, rows, { legend: true, full: false, ...options })}`;
}

/** Every field a listing has. */
function all<Row>(view: ListingView<Row>): readonly string[] {
  return view.fields.map(({ field }) => field);
}

const unit = (changes: Partial<UnitRow> = {}): UnitRow => ({
  unit: 'standard-unit.service',
  machine: WEB,
  hash: '7710e8a0c1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6',
  state: {
    load: 'loaded',
    active: 'active',
    sub: 'running',
    restarts: 2,
    since: Date.UTC(2026, 10, 23, 6, 5, 41),
    memoryBytes: 5_452_595,
    cpuNs: 15_900_000,
  },
  result: 'success',
  lastRun: Date.UTC(2026, 10, 23, 6, 5, 41),
  nextRun: Date.UTC(2026, 10, 24, 0, 0, 0),
  ...changes,
});

const unitFile = (changes: Partial<UnitFileRow> = {}): UnitFileRow => ({
  unit: 'standard-unit.service',
  hash: '7710e8a0c1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6',
  target: 'launched',
  state: 'launched',
  drift: undefined,
  machine: WEB,
  global: false,
  coverage: undefined,
  rollout: undefined,
  held: undefined,
  description: 'Hello World',
  set: undefined,
  ...changes,
});

const globalFile = unitFile({
  unit: 'global-unit.service',
  hash: '8ff68b9aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
  machine: undefined,
  global: true,
  coverage: { reached: 3, eligible: 3 },
});

const machine = (changes: Partial<MachineRow> = {}): MachineRow => ({
  ...WEB,
  metadata: {},
  state: 'reachable',
  cordon: undefined,
  units: 3,
  vitals: {
    systemd: '252',
    loadAverage: [0.1, 1.25, 12],
    memory: { totalBytes: 4 * 1024 ** 3, availableBytes: 2.5 * 1024 ** 3 },
  },
  uptimeSeconds: 273_900.5,
  lastSeen: Date.UTC(2026, 10, 23, 6, 6, 0),
  ...changes,
});

it('has as measures of units the properties that fleetd does not count as a change', async () => {
  const state = systemdState('running');
  for (const property of STATE_PROPERTIES) {
    const changed = { ...state, [property]: typeof state[property] === 'string' ? 'other' : 1000 };
    const isIgnored = isAlike(changed, state);
    const shown = UNITS.fields.filter(
      (field) =>
        JSON.stringify(rowsJson([field], [unit({ state: changed, result: changed.result })])) !==
        JSON.stringify(rowsJson([field], [unit({ state, result: state.result })])),
    );
    expect([property, shown.map(({ isMeasure = false }) => isMeasure)]).toEqual([
      property,
      shown.map(() => isIgnored),
    ]);
  }
});

const UNIT_FIELDS = 'unit machine load active sub hash since restarts memory cpu result last next';

describe('list-units', () => {
  it('shows every unit on every machine', async () => {
    expect(await show(UNITS, [unit({ unit: 'global-unit.service' }), unit()])).toMatchInlineSnapshot(`
      "
      UNIT                   MACHINE                ACTIVE  SUB
      global-unit.service    148a18ff.../10.10.1.1  active  running
      standard-unit.service  148a18ff.../10.10.1.1  active  running
      "
    `);
  });

  it('shows what is not known of a silent machine', async () => {
    const state = { load: 'unknown', active: 'unknown', sub: 'unreachable' };
    const row = { unit: 'standard-unit.service', machine: SILENT, hash: '', state };
    expect(
      await show(UNITS, [row, unit()], {
        fields: UNIT_FIELDS.split(' '),
      }),
    ).toMatchInlineSnapshot(`
      "
      UNIT                   MACHINE                LOAD     ACTIVE   SUB          HASH     SINCE                    RESTARTS  MEMORY  CPU   RESULT   LAST                     NEXT
      standard-unit.service  -/10.10.1.2            unknown  unknown  unreachable  -        -                        -         -       -     -        -                        -
      standard-unit.service  148a18ff.../10.10.1.1  loaded   active   running      7710e8a  2026-11-23 06:05:41 UTC  2         5.1M    15ms  success  2026-11-23 06:05:41 UTC  2026-11-24 00:00:00 UTC
      "
    `);
  });

  it('shows whole ids and hashes with --full', async () => {
    expect(await show(UNITS, [unit()], { full: true, fields: ['machine', 'hash'] })).toMatchInlineSnapshot(`
      "
      MACHINE                                         HASH
      148a18ff-6e95-4cd8-92da-c9de9bb90d5a/10.10.1.1  7710e8a0c1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6
      "
    `);
  });
});

describe('list-unit-files', () => {
  it('shows wanted beside actual', async () => {
    expect(await show(UNIT_FILES, [globalFile, unitFile()])).toMatchInlineSnapshot(`
      "
      UNIT                   HASH     DSTATE    STATE     TMACHINE
      global-unit.service    8ff68b9  launched  launched  3 of 3
      standard-unit.service  7710e8a  launched  launched  148a18ff.../10.10.1.1
      "
    `);
  });

  it('shows a unit that is nowhere, a template, and a machine that has left fleet.conf', async () => {
    const rows = [
      unitFile({ unit: 'nowhere.service', state: 'inactive', machine: undefined }),
      unitFile({
        unit: 'web@.service',
        target: 'inactive',
        state: 'inactive',
        machine: undefined,
        global: true,
      }),
      unitFile({ unit: 'x.service', state: 'unknown', machine: { ...WEB, name: '', address: '' } }),
    ];
    expect(await show(UNIT_FILES, rows)).toMatchInlineSnapshot(`
      "
      UNIT             HASH     DSTATE    STATE     TMACHINE
      nowhere.service  7710e8a  launched  inactive  -
      web@.service     7710e8a  inactive  inactive  -
      x.service        7710e8a  launched  unknown   148a18ff...
      "
    `);
  });

  it('has the old name of TMACHINE', async () => {
    expect(
      await show(UNIT_FILES, [globalFile, unitFile({ description: '' })], {
        fields: 'unit hash dstate state tmachine target global rollout desc set'.split(' '),
      }),
    ).toMatchInlineSnapshot(`
      "
      UNIT                   HASH     DSTATE    STATE     TMACHINE               TARGET                 GLOBAL  ROLLOUT  DESC         SET
      global-unit.service    8ff68b9  launched  launched  3 of 3                 3 of 3                 true    -        Hello World  -
      standard-unit.service  7710e8a  launched  launched  148a18ff.../10.10.1.1  148a18ff.../10.10.1.1  false   -        -            -
      "
    `);
  });

  it('counts no copies when there are none', async () => {
    const none = { ...globalFile, coverage: { reached: 0, eligible: 0 } };
    expect(await show(UNIT_FILES, [none], { fields: ['tmachine'], legend: false })).toBe('\n0 of 0\n');
  });
});

describe('list-machines', () => {
  it('shows ids as UUIDs, and "-" for what is not there', async () => {
    expect(await show(MACHINES, [machine()])).toMatchInlineSnapshot(`
      "
      MACHINE                               IP         METADATA
      148a18ff-6e95-4cd8-92da-c9de9bb90d5a  10.10.1.1  -
      "
    `);
  });

  it('shows what is known of machines, and sorts metadata', async () => {
    const rows = [
      machine({ metadata: { role: 'web', disk: 'ssd' } }),
      machine({
        ...SILENT,
        state: 'unreachable',
        units: undefined,
        vitals: undefined,
        uptimeSeconds: undefined,
        lastSeen: undefined,
      }),
    ];
    expect(
      await show(MACHINES, rows, {
        fields: 'machine name ip metadata state cordon units systemd load memory uptime lastseen'.split(' '),
      }),
    ).toMatchInlineSnapshot(`
      "
      MACHINE                               NAME   IP         METADATA           STATE        CORDON  UNITS  SYSTEMD  LOAD             MEMORY     UPTIME  LASTSEEN
      148a18ff-6e95-4cd8-92da-c9de9bb90d5a  web-1  10.10.1.1  disk=ssd,role=web  reachable    -       3      252      0.10 1.25 12.00  1.5G/4.0G  3d 4h   2026-11-23 06:06:00 UTC
      -                                     web-2  10.10.1.2  -                  unreachable  -       -      -        -                -          -       -
      "
    `);
  });
});

it.each([
  ['list-units', UNITS as ListingView<never>],
  ['list-unit-files', UNIT_FILES as ListingView<never>],
  ['list-machines', MACHINES as ListingView<never>],
  ['history', HISTORY as ListingView<never>],
])('%s has each field once, and those it shows unasked', (_, view) => {
  expect(new Set(all(view)).size).toBe(view.fields.length);
  expect(all(view)).toEqual(expect.arrayContaining([...view.defaults]));
});
