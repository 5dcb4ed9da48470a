import { describe, expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import { statusStatus } from '../../src/cli/exit-status.ts';
import { unknownState } from '../../src/cluster/unit-state.ts';
import type { StatusResult, UnitStatus } from '../../src/operations/status.ts';
import { statusJson, statusReport } from '../../src/output/status.ts';
import { systemdState } from '../support/builders.ts';

const ID = '148a18ff6e954cd892dac9de9bb90d5a';

function on(name: string, state: Parameters<typeof systemdState>[0] = 'running'): UnitStatus {
  const machine = { name, id: ID, address: '10.0.0.1' };
  return {
    unit: 'a.service',
    machine,
    state: systemdState(state),
    drift: undefined,
    text: `● a.service on ${name}`,
  };
}

function result(changes: Partial<StatusResult> = {}): StatusResult {
  return { statuses: [], problems: [], unreachable: [], held: [], unconfirmed: [], ...changes };
}

const MISSING = { unit: 'b.service', error: new FleetError('unit-not-found', 'No such unit: "b.service"') };
const NOWHERE = {
  unit: 'c.service',
  error: new FleetError('not-loaded', 'Unit "c.service" is on no machine'),
};
const SILENT = {
  machine: { name: 'm2', id: undefined, address: '10.0.0.2' },
  message: 'Cannot reach machine "m2"',
  hint: undefined,
  silentMs: 0,
};

describe('the text of a status', () => {
  it('is that of systemctl alone for one unit on one machine', () => {
    expect(statusReport(result({ statuses: [on('m1')] })).out).toEqual(['● a.service on m1']);
  });

  it('has a heading for each where there are several, and an empty line between them', () => {
    expect(statusReport(result({ statuses: [on('m1'), on('m2')] })).out).toEqual([
      '[m1 a.service]',
      '● a.service on m1',
      '',
      '[m2 a.service]',
      '● a.service on m2',
    ]);
  });

  it('tells on the other stream how a unit differs from the registry', () => {
    const { err } = statusReport(result({ statuses: [{ ...on('m1'), drift: 'altered' }] }));
    expect(err).toEqual([
      'Warning: unit "a.service" on machine "m1": its file was changed or removed there',
      'hint: To see the changes of a pass: fleetctl reconcile --dry-run',
    ]);
  });

  it('tells on the other stream what is missing', () => {
    const { out, err } = statusReport(result({ problems: [MISSING], unreachable: [SILENT] }));
    expect(out).toEqual([]);
    expect(err).toEqual([
      'Error: No such unit: "b.service"',
      'Warning: Cannot reach machine "m2"; the state of its units is unknown',
    ]);
  });
});

describe('the JSON of a status', () => {
  it('has what systemctl show says', () => {
    expect(statusJson(result({ statuses: [on('m1')], unreachable: [SILENT] }))).toMatchObject({
      statuses: [
        { unit: 'a.service', machine: { name: 'm1' }, load: 'loaded', active: 'active', sub: 'running' },
      ],
      unreachable: [{ name: 'm2' }],
    });
  });

  it('calls a unit that systemd does not know not found', () => {
    const gone = { ...on('m1'), state: undefined };
    expect(statusJson(result({ statuses: [gone] }))).toMatchObject({
      statuses: [{ load: 'not-found', active: 'inactive', sub: 'dead', fragment: null }],
    });
  });

  it('has no numbers of a unit that systemd cannot show', () => {
    const hidden = { ...on('m1'), state: unknownState('Invalid argument') };
    expect(statusJson(result({ statuses: [hidden] }))).toMatchObject({
      statuses: [
        { active: 'unknown', result: null, type: null, exitStatus: null, exitCode: null, restarts: null },
      ],
    });
  });
});

describe('the exit status of a status', () => {
  it.each([
    ['all are active', result({ statuses: [on('m1'), on('m2')] }), 0],
    ['one has failed', result({ statuses: [on('m1'), on('m2', 'failed')] }), 3],
    [
      'a oneshot that has run is not active, as systemctl sees it',
      result({ statuses: [on('m1', 'finished')] }),
      3,
    ],
    ['one is on no machine', result({ statuses: [on('m1')], problems: [NOWHERE] }), 3],
    ['one does not exist', result({ statuses: [on('m1', 'failed')], problems: [NOWHERE, MISSING] }), 4],
    ['a machine does not answer', result({ statuses: [on('m1', 'failed')], unreachable: [SILENT] }), 5],
    [
      'one does not exist, and a machine is unreachable',
      result({ problems: [MISSING], unreachable: [SILENT] }),
      4,
    ],
  ])('%s', (_, status, expected) => {
    expect(statusStatus(status)).toBe(expected);
  });
});
