import { Session } from 'node:inspector/promises';

// V8 counts in functions that are called for the first time from here on.
const session = new Session();
session.connect();
await session.post('Profiler.enable');
await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });

/** The executions of all functions and blocks in the sources and packages of the project since the last call. */
async function operations(): Promise<number> {
  const { result } = await session.post('Profiler.takePreciseCoverage');
  return result
    .filter(({ url }) => /\/src\/|\/node_modules\/(cli-table3|string-width)/.test(url))
    .flatMap(({ functions }) => functions.flatMap(({ ranges }) => ranges))
    .reduce((sum, { count }) => sum + count, 0);
}

/**
 * How many times more `work` does for four times the size: linear work gives 4, quadratic work 16. It counts operations and
 * not time, so the result does not depend on the computer. Loops in native code, as in `includes`, count once.
 */
export async function growthOf(size: number, work: (size: number) => unknown): Promise<number> {
  // Without the code that is executed once, such as that of modules.
  await work(1);
  await operations();
  await work(size);
  const small = await operations();
  await work(4 * size);
  const large = await operations();
  return large / small;
}
