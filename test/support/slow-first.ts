import { basename } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files on machines mostly wait; the many short files at the end fill the time until the last of them has ended. */
const PROJECTS = ['e2e', 'isolated', 'fast'];

/** Files that take long although they are not large, the slowest first. */
const SLOW = [
  'operators',
  'fleetd-passes',
  'packaging',
  'registry-voters',
  'fleetd-election',
  'unreachable',
  'controller-install',
  'rollout',
  'registry-machines',
  'soak',
  'dependencies',
  'confirm',
  'registry',
  'fenced',
  'ssh',
  'unit-types',
  'failover',
  'changes',
  'drain',
  'obstacles',
  'recovery',
  'fleetd-failover',
  'connections',
  'hostile-machine',
  'processes',
];

/** Begins with the slowest files; vitest knows them only from an earlier run on the same computer. */
export class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted(
      (a, b) =>
        rankIn(PROJECTS, a.project.name) - rankIn(PROJECTS, b.project.name) ||
        rankIn(SLOW, nameOf(a)) - rankIn(SLOW, nameOf(b)),
    );
  }
}

function nameOf({ moduleId }: TestSpecification): string {
  return basename(moduleId, '.test.ts');
}

function rankIn(list: readonly string[], name: string): number {
  const at = list.indexOf(name);
  return at < 0 ? list.length : at;
}
