import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/base/hash.ts';
import { compareText } from '../../src/base/text.ts';
import { writeDocument } from '../../src/registry/documents.ts';
import { RegistryView } from '../../src/registry/view.ts';
import type { StoreRecord } from '../../src/store/store.ts';
import { desiredUnit, idOf } from '../support/builders.ts';

const WEB = desiredUnit('web.service', 'MachineMetadata=disk=ssd\nConflicts=web@*.service');
const NEWER = (() => {
  const text = '[Service]\nExecStart=/bin/true\n[X-Fleet]\nFlavour=sweet\n';
  return { ...WEB, text, digest: sha256(text) };
})();
const TIMER = desiredUnit('web.timer');

const record = (key: string, value: string, revision = 7): StoreRecord => ({ key, value, revision });

function unitRecord({ name, digest, hash, target }: typeof WEB, revision?: number): StoreRecord {
  return record(`units/${name}`, writeDocument('units/', { digest, hash, target }), revision);
}

const textRecord = ({ digest, text }: typeof WEB): StoreRecord =>
  record(`contents/${digest}`, writeDocument('contents/', { text }));

/** Stores give records in the order of their keys. */
function viewOf(revision: number, records: readonly StoreRecord[]): RegistryView {
  return new RegistryView(
    revision,
    records.toSorted((a, b) => compareText(a.key, b.key)),
  );
}

describe('a view of the registry', () => {
  it('reads placements and triggers from the text, and the token from the revision', () => {
    const view = viewOf(9, [unitRecord(WEB, 3), textRecord(WEB), unitRecord(TIMER, 5), textRecord(TIMER)]);
    expect(view.units.get('web.service')).toEqual({ ...WEB, token: 3 });
    expect(view.units.get('web.timer')).toEqual({ ...TIMER, triggers: 'web.service', token: 5 });
    expect(view.units.get('web.service')?.placement.conflicts).toEqual(['web@*.service']);
  });

  it('reads the other name of a unit as that unit, in older texts as well', () => {
    const web = desiredUnit('web.service', '', {
      text: '[Unit]\nBindsTo=sql.service\n[X-Fleet]\nMachineOf=sql.service\n',
    });
    const db = desiredUnit('db.service', '', {
      text: '[Service]\nExecStart=x\n[Install]\nAlias=sql.service\n',
    });
    const view = viewOf(
      9,
      [db, web].flatMap((unit) => [unitRecord(unit), textRecord(unit)]),
    );
    const named = [{ kind: 'BindsTo', unit: 'db.service', source: 'BindsTo=sql.service in line 2' }];
    expect(view.units.get('web.service')).toMatchObject({
      dependencies: named,
      placement: { machineOf: ['db.service'] },
    });
    expect(view.dependencies('web.service', web.digest)).toEqual(named);
  });

  it('reads a unit again if its document, its text or the base of tokens has changed, and only then', () => {
    const document = unitRecord(TIMER);
    const put = (key: string, value: string) => ({ kind: 'put', key, value, ifRevision: 0 }) as const;
    const view = viewOf(9, [document, textRecord(TIMER)]);
    const timer = view.units.get('web.timer');
    expect(view.asWritten.units.get('web.timer')).toBe(timer);
    expect(view.after([put('turn', '{"version":1}')], 10).units.get('web.timer')).toBe(timer);
    const same = view.after([put('units/web.timer', document.value)], 10);
    expect(same.units.get('web.timer')).toEqual({ ...timer, token: 10 });
    const damaged = view.after([put(`contents/${TIMER.digest}`, '{"version":1,"text":"x"}')], 10);
    expect(damaged.units.has('web.timer')).toBe(false);
    expect(damaged.unreadable.has('web.timer')).toBe(true);
    const cluster = writeDocument('cluster', { id: 'c', tokenBase: 100 });
    expect(view.after([put('cluster', cluster)], 10).units.get('web.timer')?.token).toBe(107);
  });

  it('takes no machine from a template', () => {
    const template = desiredUnit('web@.service');
    const { name, digest, hash } = template;
    const value = writeDocument('units/', { digest, hash, target: 'loaded', machine: idOf('m1') });
    const view = viewOf(9, [record(`units/${name}`, value), textRecord(template)]);
    expect(view.units.get(name)).toMatchObject({ target: 'loaded', machine: undefined });
  });

  it('knows when a key last changed, and that another does not exist', () => {
    const view = viewOf(9, [unitRecord(WEB, 3)]);
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
      'Cannot read "units/web.service" of the registry: it was written by a newer fleet: version 2, this one reads up to 1',
    ],
    [
      'a unit whose text is for a newer fleet',
      [
        record('units/web.service', unitRecord(NEWER).value.replace('{', '{"fleet":"9.1.0",')),
        textRecord(NEWER),
      ],
      'Cannot use unit "web.service" of the registry, as fleet 9.1.0 has stored it: ',
    ],
  ])('names %s, and has all others', (_, records, message) => {
    const view = viewOf(1, [...records, unitRecord(TIMER), textRecord(TIMER)]);
    expect(view.unreadable.get('web.service')?.message).toMatch(message);
    expect([...view.unreadable.keys()]).toEqual(['web.service']);
    expect([...view.units.keys()]).toEqual(['web.timer']);
  });

  it('that lacks the cluster alone is damaged, not new', () => {
    const view = viewOf(1, [unitRecord(WEB), textRecord(WEB)]);
    expect(() => view.clusterId).toThrow(
      'Cannot read "cluster" of the registry: it is missing, but 2 other documents exist',
    );
    expect(view.units.size).toBe(1);
    expect(viewOf(0, []).clusterId).toBeUndefined();
  });

  const HISTORY = writeDocument('history/', { entries: [] });
  const event = (unit: string, kind: string) =>
    writeDocument('events/', { at: 1, by: 'me@here', events: [{ kind, unit }] });
  it.each([
    ['that has a history alone', [record('history/a.service', HISTORY)], true],
    ['that never was there', [], false],
    ['that is there', [record('history/web.service', HISTORY), unitRecord(WEB)], false],
    [
      'that a command has destroyed',
      [record('history/a.service', HISTORY.replace('{', '{"destroyed":{"at":1,"by":"me@here"},'))],
      false,
    ],
    [
      'that fleet 0.1.0 has destroyed',
      [
        record('history/a.service', HISTORY),
        record('events/0000000000000001-0000000000000004', event('a.service', 'destroy')),
      ],
      false,
    ],
    [
      'that came again after that',
      [
        record('history/a.service', HISTORY),
        record('events/0000000000000009-0000000000000004', event('a.service', 'destroy')),
        record('events/r0000000000000005', event('a.service', 'text')),
      ],
      true,
    ],
    [
      'while another was destroyed',
      [
        record('history/a.service', HISTORY),
        record('events/r0000000000000005', event('b.service', 'destroy')),
      ],
      true,
    ],
  ])('tells a lost unit from one that is not wanted: one %s', (_, records, isLost) => {
    const view = viewOf(9, records);
    const name = records.some(({ key }) => key === 'units/web.service') ? 'web.service' : 'a.service';
    expect(view.lost(name) !== undefined).toBe(isLost);
  });

  it('has events in the order of revisions, those of 0.1.0 among them, and leaves out what it cannot read', () => {
    const at = (at: number) => writeDocument('events/', { at, by: 'me@here', events: [] });
    const view = viewOf(9, [
      record('events/0000000000000010-0000000000000007', at(10)),
      record('events/0000000000000099-0000000000000004', at(99)),
      record('events/r0000000000000005', at(20)),
      record('events/r0000000000000006', '{"version":2}'),
      record('events/r0000000000000008', at(1)),
    ]);
    expect(view.events.map((entry) => entry.at)).toEqual([99, 20, 10, 1]);
  });

  it('is of use as far as it is not damaged', () => {
    const view = viewOf(1, [
      record('cluster', writeDocument('cluster', { id: 'c' })),
      record('machines/m1', writeDocument('machines/', { id: idOf('m1') })),
      record('units/web.service', '{'),
    ]);
    expect([view.clusterId, view.machines.size, view.history('web.service')]).toEqual(['c', 1, []]);
  });

  it('ignores unknown keys', () => {
    const view = viewOf(1, [record('unitsx/web.service', 'x'), record('fences/m1', 'x')]);
    expect([view.units.size, view.machines.size]).toEqual([0, 0]);
  });

  it('is not changed by what comes after it', () => {
    const view = viewOf(7, [unitRecord(WEB), textRecord(WEB)]);
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
