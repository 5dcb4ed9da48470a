import { describe, expect, it } from 'vitest';
import type { MachineRef } from '../../src/operations/unit-result.ts';
import { machinesJson, unitFilesJson, unitsJson } from '../../src/output/json.ts';

const WEB: MachineRef = { name: 'web-1', id: '148a18ff6e954cd892dac9de9bb90d5a', address: '10.10.1.1' };
const WEB_JSON = { id: '148a18ff-6e95-4cd8-92da-c9de9bb90d5a', name: 'web-1', ip: '10.10.1.1' };
const SILENT: MachineRef = { name: 'web-2', id: undefined, address: '10.10.1.2' };
const SILENT_JSON = { id: null, name: 'web-2', ip: '10.10.1.2' };

const unreachable = [{ machine: SILENT, message: 'no answer', hint: 'Check it', silentMs: 1500 }];
const UNREACHABLE_JSON = [{ ...SILENT_JSON, reason: 'no answer', silentMs: 1500 }];

describe('JSON', () => {
  it('of list-units', () => {
    const row = {
      unit: 'a.service',
      machine: WEB,
      load: 'loaded',
      active: 'active',
      sub: 'running',
      hash: 'abc',
    };
    const silent = {
      ...row,
      machine: SILENT,
      load: 'unknown',
      active: 'unknown',
      sub: 'unreachable',
      hash: '',
    };
    expect(JSON.parse(unitsJson({ rows: [row, silent], unreachable }))).toEqual({
      units: [
        { ...row, machine: WEB_JSON },
        { ...silent, machine: SILENT_JSON, hash: null },
      ],
      unreachable: UNREACHABLE_JSON,
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
      coverage: undefined,
      description: 'Hello',
    } as const;
    const global = { ...row, machine: undefined, global: true, coverage: { reached: 1, eligible: 2 } };
    const json = {
      unit: 'a.service',
      hash: 'abc',
      desiredState: 'launched',
      state: 'unknown',
      machine: WEB_JSON,
      global: false,
      coverage: null,
      description: 'Hello',
    };
    expect(JSON.parse(unitFilesJson({ rows: [row, global], unreachable: [] }))).toEqual({
      unitFiles: [json, { ...json, machine: null, global: true, coverage: { reached: 1, eligible: 2 } }],
      unreachable: [],
    });
  });

  it('of list-machines', () => {
    const rows = [
      { ...WEB, metadata: { role: 'web' }, state: 'reachable' as const },
      { ...SILENT, metadata: {}, state: 'unreachable' as const },
    ];
    expect(JSON.parse(machinesJson({ rows, unreachable }))).toEqual({
      machines: [
        { ...WEB_JSON, metadata: { role: 'web' }, state: 'reachable' },
        { ...SILENT_JSON, metadata: {}, state: 'unreachable' },
      ],
      unreachable: UNREACHABLE_JSON,
    });
  });

  it('is whole when there is nothing, indented, and ends with its line', () => {
    expect(unitsJson({ rows: [], unreachable: [] })).toBe('{\n  "units": [],\n  "unreachable": []\n}\n');
  });
});
