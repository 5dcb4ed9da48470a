import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { stopTies } from '../../src/cluster/dependencies.ts';
import type { ClusterSnapshot } from '../../src/cluster/snapshot.ts';
import { listUnitFiles } from '../../src/operations/list-unit-files.ts';
import { listUnits } from '../../src/operations/list-units.ts';
import { submit } from '../../src/operations/submit.ts';
import { cat } from '../../src/operations/unit-texts.ts';
import { createRegistry, type Registry } from '../../src/registry/registry.ts';
import { openFileStore } from '../../src/store/file.ts';
import { cluster, desiredUnit, NOW, observedUnit } from '../support/builders.ts';
import { growthOf } from '../support/operations.ts';

const base = mkdtempSync(join(tmpdir(), 'fleet-growth-'));
afterAll(() => rmSync(base, { recursive: true }));

let folders = 0;

/** A registry in a folder with `size` units, opened by another process. Some depend on others, and one has an alias. */
async function registryOf(size: number): Promise<Registry> {
  const folder = join(base, `${folders++}`);
  const open = (): Registry =>
    createRegistry(openFileStore(folder), { clock: { now: () => NOW }, author: 'op@desk' });
  const units = Array.from({ length: size }, (_, index) => {
    const lines = index % 2 === 0 ? '' : `[Unit]\nRequires=u${index - 1}.service\n`;
    const install = index === 0 ? '[Install]\nAlias=first.service\n' : '';
    const text = `${lines}[Service]\nExecStart=/bin/sleep ${index}\n${install}`;
    return desiredUnit(`u${index}.service`, '', { text, target: 'launched' });
  });
  const first = open();
  await first.update(() => units.map((unit) => ({ kind: 'put-unit', unit })));
  await first.close();
  return open();
}

function unitFiles(count: number): { readonly cwd: string; readonly units: readonly string[] } {
  const cwd = join(base, `files-${folders++}`);
  mkdirSync(cwd);
  const units = Array.from({ length: count }, (_, index) => `new${index}.service`);
  for (const name of units) writeFileSync(join(cwd, name), '[Service]\nExecStart=/bin/true\n');
  return { cwd, units };
}

/** How many documents are parsed while `work` runs with a registry of that size. */
async function documentsRead(size: number, work: (registry: Registry) => Promise<unknown>): Promise<number> {
  const registry = await registryOf(size);
  const parse = vi.spyOn(JSON, 'parse');
  try {
    await work(registry);
    return parse.mock.calls.length;
  } finally {
    parse.mockRestore();
    await registry.close();
  }
}

describe('a command about one unit', () => {
  const one = unitFiles(1);
  it.each<[string, (registry: Registry) => Promise<unknown>]>([
    ['cat', (registry) => cat(registry, 'u2')],
    ['submit of a unit that is new', (registry) => submit(registry, { ...one, replace: false })],
    [
      'submit of a unit that is there',
      (registry) => submit(registry, { units: ['u2'], cwd: base, replace: true }),
    ],
  ])('reads no more documents in a larger registry: %s', async (_, work) => {
    const small = await documentsRead(20, work);
    expect(small).toBeGreaterThan(1);
    expect(await documentsRead(200, work)).toBe(small);
  });
});

describe('the work grows in proportion to the number of units', () => {
  it.each<[string, (registry: Registry, size: number) => Promise<unknown>]>([
    ['of a list', async (registry) => [...(await registry.load()).units.values()]],
    ['of a submit of as many', (registry, size) => submit(registry, { ...unitFiles(size), replace: false })],
  ])('%s', async (_, work) => {
    const growth = await growthOf(50, async (size) => {
      const registry = await registryOf(size);
      await work(registry, size);
      await registry.close();
    });
    expect(growth).toBeGreaterThan(3.5);
    expect(growth).toBeLessThan(4.5);
  });

  it.each<[string, (snapshot: ClusterSnapshot) => unknown]>([
    ['of the ties of units that require the same one', ({ units }) => stopTies(units)],
    ['of the rows of running units', (snapshot) => listUnits(async () => snapshot)],
    ['of the rows of instances', (snapshot) => listUnitFiles(async () => snapshot)],
  ])('%s', async (_, work) => {
    const snapshots = new Map([1, 50, 200].map((size) => [size, runningUnits(size)]));
    const growth = await growthOf(50, (size) => work(snapshots.get(size) ?? cluster().snapshot()));
    expect(growth).toBeGreaterThan(3);
    expect(growth).toBeLessThan(4.5);
  });
});

/** Instances that run on one machine, and require the same one. */
function runningUnits(count: number): ClusterSnapshot {
  const text = '[Unit]\nRequires=u@0.service\n[Service]\nExecStart=/bin/true\n';
  const units = Array.from({ length: count }, (_, index) =>
    desiredUnit(`u@${index}.service`, '', { text, machine: 'm1', target: 'launched' }),
  );
  const observed = units.map((unit) => observedUnit(unit));
  return { ...cluster().machine('m1', {}, { units: observed }).snapshot(), units };
}
