import { describe, expect, it } from 'vitest';
import { writeDocument } from '../../src/registry/documents.ts';
import { RegistryView } from '../../src/registry/view.ts';
import type { StoreRecord } from '../../src/store/store.ts';
import { desiredUnit, idOf } from '../support/builders.ts';

const WEB = desiredUnit('web.service', 'MachineMetadata=disk=ssd\nConflicts=web@*.service');
const TIMER = desiredUnit('web.timer');

const record = (key: string, value: string, revision = 7): StoreRecord => ({ key, value, revision });

function unitRecord({ name, digest, hash, target }: typeof WEB, revision?: number): StoreRecord {
  return record(`units/${name}`, writeDocument('units/', { digest, hash, target }), revision);
}

const textRecord = ({ digest, text }: typeof WEB): StoreRecord =>
  record(`contents/${digest}`, writeDocument('contents/', { text }));

describe('a view of the registry', () => {
  it('reads placements and triggers from the text, and the token from the revision', () => {
    const view = new RegistryView(9, [
      unitRecord(WEB, 3),
      textRecord(WEB),
      unitRecord(TIMER, 5),
      textRecord(TIMER),
    ]);
    expect(view.units.get('web.service')).toEqual({ ...WEB, token: 3 });
    expect(view.units.get('web.timer')).toEqual({ ...TIMER, triggers: 'web.service', token: 5 });
    expect(view.units.get('web.service')?.placement.conflicts).toEqual(['web@*.service']);
  });

  it('knows when a key last changed, and that another does not exist', () => {
    const view = new RegistryView(9, [unitRecord(WEB, 3)]);
    expect([view.revisionOf('units/web.service'), view.revisionOf('units/x.service')]).toEqual([3, 0]);
  });

  it.each([
    [
      'a unit whose text is missing',
      [unitRecord(WEB)],
      `Cannot read "contents/${WEB.digest}" of the registry: it is missing`,
    ],
    [
      'a unit that cannot be read',
      [record('units/web.service', '{')],
      'Cannot read "units/web.service" of the registry: not JSON',
    ],
    [
      'a unit of a newer version',
      [record('units/web.service', '{"version":2}')],
      'Cannot read "units/web.service" of the registry: it has version 2, this fleetctl reads up to 1',
    ],
  ])('never leaves out %s', (_, records, message) => {
    const view = new RegistryView(1, records);
    expect(() => view.units).toThrow(message);
    expect(() => view.units).toThrow(message);
  });

  it('is of use as far as it is not damaged', () => {
    const view = new RegistryView(1, [
      record('cluster', writeDocument('cluster', { id: 'c' })),
      record('machines/m1', writeDocument('machines/', { id: idOf('m1') })),
      record('units/web.service', '{'),
    ]);
    expect([view.clusterId, view.machines.size, view.history('web.service')]).toEqual(['c', 1, []]);
  });

  it("takes keys it does not know for somebody else's", () => {
    const view = new RegistryView(1, [record('unitsx/web.service', 'x'), record('fences/m1', 'x')]);
    expect([view.units.size, view.machines.size]).toEqual([0, 0]);
  });

  it('is not changed by what comes after it', () => {
    const view = new RegistryView(7, [unitRecord(WEB), textRecord(WEB)]);
    const key = 'units/web.service';
    const later = view.after(
      [
        { kind: 'delete', key, ifRevision: 7 },
        { kind: 'check', key: 'turn', ifRevision: 0 },
      ],
      8,
    );
    expect([view.units.size, view.revision, later.units.size, later.revision]).toEqual([1, 7, 0, 8]);
  });
});
