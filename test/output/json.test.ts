import { describe, expect, it } from 'vitest';
import type { MachineRow } from '../../src/operations/list-machines.ts';
import type { MachineRef } from '../../src/operations/listing.ts';
import { listingJson, listingSignature } from '../../src/output/field.ts';
import { jsonLine, jsonText } from '../../src/output/json.ts';
import { MACHINES, UNIT_FILES, UNITS } from '../../src/output/listings.ts';

const WEB: MachineRef = { name: 'web-1', id: '148a18ff6e954cd892dac9de9bb90d5a', address: '10.10.1.1' };
const WEB_JSON = { id: '148a18ff-6e95-4cd8-92da-c9de9bb90d5a', name: 'web-1', ip: '10.10.1.1' };
const SILENT: MachineRef = { name: 'web-2', id: undefined, address: '10.10.1.2' };
const SILENT_JSON = { id: null, name: 'web-2', ip: '10.10.1.2' };

const unreachable = [{ machine: SILENT, message: 'no answer', hint: 'Check it', silentMs: 1500 }];
const UNREACHABLE_JSON = [{ ...SILENT_JSON, reason: 'no answer', silentMs: 1500 }];
const SINCE = Date.UTC(2026, 10, 23, 6, 5, 41);

const UNIT = { unit: 'a.service', hash: 'abc' };
const UP = { load: 'loaded', active: 'active', sub: 'running' };
const STATE = { ...UP, restarts: 2, since: SINCE, memoryBytes: 4096, cpuNs: 15_000_000 };
const RUNNING = {
  ...UNIT,
  machine: WEB,
  state: STATE,
  result: 'success',
  lastRun: SINCE,
  nextRun: undefined,
};

describe('JSON', () => {
  it('of list-units', () => {
    const unreadable = [{ unit: 'x.service', message: 'it is damaged', hint: undefined }];
    const silent = { ...UNIT, machine: SILENT, hash: '', state: UP };
    expect(listingJson(UNITS, { rows: [RUNNING, silent], unreachable, unreadable })).toMatchObject({
      units: [
        {
          ...UNIT,
          ...STATE,
          machine: WEB_JSON,
          result: 'success',
          since: '2026-11-23T06:05:41Z',
          lastRun: '2026-11-23T06:05:41Z',
          nextRun: null,
        },
        {
          ...UNIT,
          ...UP,
          machine: SILENT_JSON,
          hash: null,
          restarts: null,
          since: null,
          memoryBytes: null,
          cpuNs: null,
          result: null,
          lastRun: null,
          nextRun: null,
        },
      ],
      unreachable: UNREACHABLE_JSON,
      unreadable: [{ unit: 'x.service', reason: 'it is damaged' }],
    });
  });

  it('of list-unit-files', () => {
    const row = {
      unit: 'a.service',
      hash: 'abc',
      target: 'launched',
      state: 'unknown',
      machine: WEB,
      global: false,
      drift: undefined,
      coverage: undefined,
      rollout: undefined,
      held: undefined,
      description: 'Hello',
      set: undefined,
    } as const;
    const global = { ...row, machine: undefined, global: true, coverage: { reached: 1, eligible: 2 } };
    const json = {
      unit: 'a.service',
      hash: 'abc',
      desiredState: 'launched',
      state: 'unknown',
      drift: null,
      machine: WEB_JSON,
      global: false,
      coverage: null,
      rollout: null,
      held: null,
      description: 'Hello',
      set: null,
    };
    expect(listingJson(UNIT_FILES, { rows: [row, global], unreachable: [], unreadable: [] })).toMatchObject({
      unitFiles: [json, { ...json, machine: null, global: true, coverage: { reached: 1, eligible: 2 } }],
      unreachable: [],
      unreadable: [],
    });
  });

  it('of list-machines', () => {
    const web = {
      ...WEB,
      metadata: { role: 'web' },
      state: 'reachable' as const,
      cordon: 'standard' as const,
      units: 3,
      vitals: {
        systemd: '252',
        loadAverage: [0.1, 0.2, 0.3],
        memory: { totalBytes: 4096, availableBytes: 1024 },
      },
      uptimeSeconds: 12.5,
      lastSeen: SINCE,
    };
    const silent = {
      ...SILENT,
      metadata: {},
      state: 'unreachable' as const,
      cordon: undefined,
      units: undefined,
      vitals: undefined,
      uptimeSeconds: undefined,
      lastSeen: undefined,
    };
    expect(listingJson(MACHINES, { rows: [web, silent], unreachable, unreadable: [] })).toMatchObject({
      machines: [
        {
          ...WEB_JSON,
          metadata: { role: 'web' },
          state: 'reachable',
          cordon: 'standard',
          units: 3,
          systemd: 252,
          loadAverage: [0.1, 0.2, 0.3],
          memoryTotalBytes: 4096,
          memoryAvailableBytes: 1024,
          uptimeSeconds: 12.5,
          lastSeen: '2026-11-23T06:05:41Z',
        },
        {
          ...SILENT_JSON,
          metadata: {},
          state: 'unreachable',
          cordon: null,
          units: null,
          systemd: null,
          loadAverage: null,
          memoryTotalBytes: null,
          memoryAvailableBytes: null,
          uptimeSeconds: null,
          lastSeen: null,
        },
      ],
      unreachable: UNREACHABLE_JSON,
      unreadable: [],
    });
  });

  it('is whole when there is nothing, indented, and ends with its line', () => {
    const nothing = listingJson(UNITS, { rows: [], unreachable: [], unreadable: [] });
    expect(jsonText(nothing)).toBe('{\n  "units": [],\n  "unreachable": [],\n  "unreadable": []\n}\n');
    expect(jsonLine(nothing)).toBe('{"units":[],"unreachable":[],"unreadable":[]}\n');
  });

  it('is the same without its measures while nothing happens', () => {
    const text = (changes: Partial<typeof STATE>, silentMs = 0, runs: object = {}): string =>
      listingSignature(UNITS, {
        rows: [{ ...RUNNING, ...runs, state: { ...STATE, ...changes } }],
        unreachable: [{ ...unreachable[0], silentMs } as never],
        unreadable: [],
      });
    for (const measure of ['memoryBytes', 'cpuNs']) expect(text({ [measure]: 1 })).toBe(text({}));
    expect(text({}, 0, { nextRun: 1 })).toBe(text({}));
    expect(text({}, 5000)).toBe(text({}));
    expect(text({ sub: 'exited' })).not.toBe(text({}));
    expect(text({ since: SINCE + 1000 })).not.toBe(text({}));
    expect(text({ restarts: 3 })).not.toBe(text({}));
    const machines = (changes: Partial<MachineRow>): string => {
      const vitals = { systemd: '252', loadAverage: [0.1], memory: { totalBytes: 4, availableBytes: 2 } };
      const row = { ...WEB, metadata: {}, state: 'reachable' as const, cordon: undefined, units: 3 };
      const changed = { ...row, vitals, uptimeSeconds: 1, lastSeen: SINCE, ...changes };
      return listingSignature(MACHINES, { rows: [changed], unreachable: [], unreadable: [] });
    };
    const memory = { totalBytes: 5, availableBytes: 3 };
    expect(machines({ vitals: { systemd: '252', loadAverage: [0.2], memory } })).toBe(machines({}));
    expect(machines({ uptimeSeconds: 2, lastSeen: SINCE + 1000 })).toBe(machines({}));
    expect(machines({ units: 4 })).not.toBe(machines({}));
  });
});
