import type { ClusterSnapshot } from '../../src/cluster/snapshot.ts';
import type { UnitRow } from '../../src/operations/list-units.ts';
import { UNITS } from '../../src/output/listings.ts';
import { renderTable } from '../../src/output/table.ts';
import { schedule } from '../../src/schedule/schedule.ts';
import { cluster, desiredUnit, idOf, observedUnit } from '../support/builders.ts';

// A program of the bench: measures pure code in this process, and prints results as JSON.

type Work = { readonly name: string; readonly once: () => unknown };

/** `units` units on machines in turn, all with the lines `fleet` in [X-Fleet]. */
function snapshotOf(units: number, machines: number, fleet = ''): ClusterSnapshot {
  const names = Array.from({ length: machines }, (_, at) => `m${at}`);
  const all = Array.from({ length: units }, (_, at) => ({
    ...desiredUnit(`u${String(at).padStart(5, '0')}.service`, fleet.replace('%', String(at))),
    machine: idOf(names[at % machines] ?? ''),
  }));
  const [empty] = cluster().machine('m0').snapshot().machines;
  if (empty?.observation === undefined) throw new TypeError('a machine without an observation');
  const { observation } = empty;
  const views = names.map((name, index) => {
    const id = idOf(name);
    const observed = all.filter((_, at) => at % machines === index).map((unit) => observedUnit(unit));
    const machine = { ...empty.machine, name, address: `${name}.example` };
    return { ...empty, machine, id, observation: { ...observation, id, units: observed } };
  });
  return { ...cluster().snapshot(), units: all, machines: views };
}

function scheduleWork(): readonly Work[] {
  const sized = [
    [10_000, 1_000],
    [20_000, 2_000],
    [8_000, 3],
  ] as const;
  const work = sized.flatMap(([units, machines]): readonly Work[] => {
    const snapshot = snapshotOf(units, machines);
    const added = desiredUnit('z.service');
    const changed = { ...snapshot, units: [...snapshot.units, added] };
    const isNew = {
      ...snapshot,
      units: snapshot.units.map((unit) => ({ ...unit, machine: undefined })),
      machines: snapshotOf(0, machines).machines,
    };
    const title = `${units} units on ${machines} machines`;
    return [
      { name: `${title}, steady`, once: () => schedule({ ...snapshot }) },
      { name: `${title}, one new`, once: () => schedule({ ...changed }, new Set([added.name])) },
      { name: `${title}, all new`, once: () => schedule({ ...isNew }) },
      {
        name: `${title}, all there but unassigned`,
        once: () => schedule({ ...isNew, machines: snapshot.machines }),
      },
    ];
  });
  const conflicting = snapshotOf(4_000, 3, 'Conflicts=u%x* other-*');
  return [
    ...work,
    { name: '4000 units with Conflicts= on 3 machines', once: () => schedule({ ...conflicting }) },
  ];
}

function tableWork(): readonly Work[] {
  return [5_000, 20_000].map((count) => {
    const rows = Array.from({ length: count }, (_, at) => rowOf(at));
    const options = { legend: true, full: false };
    const columns = UNITS.fields.filter(({ field }) => ['unit', 'machine', 'active', 'sub'].includes(field));
    return { name: `${count} rows`, once: () => renderTable(columns, rows, options) };
  });
}

function rowOf(at: number): UnitRow {
  const machine = { id: idOf(`m${at % 100}`), name: `m${at % 100}`, address: `10.0.0.${at % 100}` };
  return {
    unit: `web@${at}.service`,
    machine,
    hash: '',
    state: { load: 'loaded', active: 'active', sub: 'running' },
  };
}

/** The CPU time of one run, garbage collection by other threads included, in ms. */
async function cpuOf(once: () => unknown): Promise<number> {
  globalThis.gc?.();
  const begun = process.cpuUsage();
  await once();
  const { user, system } = process.cpuUsage(begun);
  return (user + system) / 1000;
}

/** Runs everything in turns; the first round, in which V8 compiles, does not count. */
async function measure(work: readonly Work[], rounds: number) {
  const results = work.map(({ name }) => ({ name, times: [] as number[] }));
  for (let round = 0; round <= rounds; round++) {
    for (const [index, { once }] of work.entries()) {
      const ms = await cpuOf(once);
      if (round > 0) results[index]?.times.push(ms);
    }
  }
  return results;
}

const [what, rounds] = process.argv.slice(2);
const work = what === 'tables' ? tableWork() : scheduleWork();
process.stdout.write(JSON.stringify(await measure(work, Number(rounds))));
