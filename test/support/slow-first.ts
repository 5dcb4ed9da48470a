import { basename } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that take a minute or more, the slowest first. The last one to begin would be waited for alone. */
const SLOW = [
  'operators',
  'fleetd-passes',
  'packaging',
  'unreachable',
  'fleetd-election',
  'dependencies',
  'controller-install',
  'registry-voters',
  'soak',
  'confirm',
  'registry-machines',
  'recovery',
  'changes',
  'history',
];

/** Begins with the slowest files; vitest knows them only from an earlier run on the same computer. */
export class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((a, b) => rankOf(a) - rankOf(b));
  }
}

function rankOf({ moduleId }: TestSpecification): number {
  const at = SLOW.indexOf(basename(moduleId, '.test.ts'));
  return at < 0 ? SLOW.length : at;
}
