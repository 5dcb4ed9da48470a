import { basename } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that take a minute or more, mostly to wait. The last one to begin would be waited for alone. */
const SLOW = [
  'operators',
  'soak',
  'packaging',
  'controller-install',
  'dependencies',
  'unreachable',
  'fleetd-failover',
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
