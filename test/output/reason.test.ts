import { describe, expect, it } from 'vitest';
import type { Reason } from '../../src/cluster/reason.ts';
import { formatAge } from '../../src/output/format.ts';
import { reasonText } from '../../src/output/reason.ts';
import { idOf, systemdState } from '../support/builders.ts';

const conflict = {
  code: 'conflict',
  unit: 'b.service',
  pattern: 'b@*.service',
  declaredBy: 'this',
  global: false,
} as const;
const silent = {
  code: 'machine-silent',
  silentMs: 12_400,
  message: 'Cannot reach machine "m1" (10.0.0.1:22): connection refused',
  mayBeDown: true,
} as const;
const HELD = {
  code: 'held',
  hash: '5d7d29e00',
  held: {
    at: 1,
    machines: [{ id: idOf('m4'), name: 'm4' }],
    cause: { kind: 'not-up', state: systemdState('failed', { exitStatus: 203 }) },
  },
} as const;
const metadata = { code: 'machine-metadata', key: 'role', wanted: ['db'], actual: 'web' } as const;

/** Reasons of every code with their sentences: a code without one does not compile. */
const SENTENCES: {
  readonly [Code in Reason['code']]: readonly (readonly [Reason & { code: Code }, string])[];
} = {
  'machine-id': [[{ code: 'machine-id', wanted: 'deadbeef' }, 'MachineID=deadbeef names another machine']],
  'machine-metadata': [
    [metadata, 'MachineMetadata= requires role=db, and the machine has role=web'],
    [{ ...metadata, actual: undefined }, 'MachineMetadata= requires role=db, and the machine has no role'],
    [
      { ...metadata, wanted: ['db', 'cache'] },
      'MachineMetadata= requires role=db or role=cache, and the machine has role=web',
    ],
  ],
  'machine-of-elsewhere': [
    [
      { code: 'machine-of-elsewhere', unit: 'b.service', machine: 'm2' },
      'MachineOf=b.service, which is on "m2"',
    ],
  ],
  'machine-of-nowhere': [
    [{ code: 'machine-of-nowhere', unit: 'b.service' }, 'MachineOf=b.service, which is on no machine'],
  ],
  conflict: [
    [conflict, 'Conflicts=b@*.service, and "b.service" is there'],
    [{ ...conflict, declaredBy: 'other' }, '"b.service" is there and has Conflicts=b@*.service'],
    [{ ...conflict, global: true }, 'Conflicts=b@*.service, and global unit "b.service" is there'],
    [
      { ...conflict, declaredBy: 'other', global: true },
      'global unit "b.service" is there and has Conflicts=b@*.service',
    ],
  ],
  'triggers-elsewhere': [
    [
      { code: 'triggers-elsewhere', unit: 'b.service', machine: 'm2' },
      'it starts "b.service", which is on "m2"',
    ],
  ],
  'triggered-unit': [
    [
      { code: 'triggered-unit', unit: 'b.service', reason: metadata },
      'it starts "b.service", which does not fit there: MachineMetadata= requires role=db, and the machine has role=web',
    ],
  ],
  'triggered-elsewhere': [
    [
      { code: 'triggered-elsewhere', trigger: 'b.timer', machine: 'm2' },
      '"b.timer" starts it, and is on "m2"',
    ],
    [
      { code: 'triggered-elsewhere', trigger: 'b.timer', machine: undefined },
      '"b.timer" starts it, and is not there',
    ],
  ],
  'not-triggered': [[{ code: 'not-triggered' }, 'it is a template, and no socket there needs it']],
  replaced: [[{ code: 'replaced', unit: 'b.service' }, '"b.service" is there and replaces it (Replaces=)']],
  'unit-conflict': [
    [
      {
        code: 'unit-conflict',
        tie: {
          unit: 'b.service',
          declaredBy: 'a.service',
          dependency: { kind: 'Conflicts', unit: 'b.service', source: 'Conflicts=b.service in line 3' },
        },
      },
      '"b.service" is there, and systemd never runs both: Conflicts=b.service in line 3 of "a.service"',
    ],
  ],
  'foreign-unit': [
    [
      { code: 'foreign-unit', path: '/usr/lib/systemd/system/a.service' },
      'the machine has a unit of that name that fleet did not install: /usr/lib/systemd/system/a.service',
    ],
    [{ code: 'foreign-unit', path: '' }, 'the machine has a unit of that name that fleet did not install'],
  ],
  'other-cluster': [[{ code: 'other-cluster', cluster: 'c2' }, 'it belongs to another cluster: "c2"']],
  'machine-silent': [
    [
      silent,
      'the machine has not answered for 12s: Cannot reach machine "m1" (10.0.0.1:22): connection refused',
    ],
    [
      { ...silent, silentMs: 0 },
      'the machine does not answer: Cannot reach machine "m1" (10.0.0.1:22): connection refused',
    ],
  ],
  cordoned: [[{ code: 'cordoned' }, 'it is cordoned']],
  drained: [[{ code: 'drained' }, 'it is drained']],
  'no-lease': [[{ code: 'no-lease' }, 'it has no lease: Fenced=true needs a running fleetd']],
  'lease-may-hold': [
    [
      { code: 'lease-may-hold', machine: 'm2', forMs: 12_300 },
      'machine "m2" is unreachable and may run it under its lease for another 12s',
    ],
    [
      { code: 'lease-may-hold', machine: 'm2', forMs: undefined },
      'machine "m2" is unreachable and may run it under its lease; only fleetd knows when that is over',
    ],
  ],
  held: [[HELD, 'held: text 5d7d29e failed on m4: exit status 203']],
  'machine-removed': [[{ code: 'machine-removed', machine: 'm9' }, 'no machine has this id any more']],
};

describe('a reason in words', () => {
  it.each<readonly [Reason, string]>(Object.values(SENTENCES).flat())('%o', (reason, sentence) => {
    expect(reasonText(reason)).toBe(sentence);
  });
});

it('a reason of a newer program is shown as its code', () => {
  expect(reasonText({ code: 'of-a-newer-program' } as unknown as Reason)).toBe('of-a-newer-program');
});

describe('how long', () => {
  it.each([
    [0, '0s'],
    [499, '0s'],
    [500, '1s'],
    [59_600, '1m'],
    [61_000, '61s'],
    [119_400, '119s'],
    [119_999, '2m'],
    [150_000, '3m'],
    [3_599_000, '1h'],
    [5_400_000, '90m'],
    [7_200_000, '2h'],
    [172_801_000, '48h'],
  ])('%d ms is %s', (ms, text) => {
    expect(formatAge(ms)).toBe(text);
  });
});
