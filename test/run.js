import { createVitest, parseCLI } from 'vitest/node';

/** With more failed files than this, load is not the cause. */
const MOST_FILES = 6;

/**
 * Runs all tests. Files that failed run a second time, without the load of all others, because some time limits of the product
 * are seconds and six clusters share this box. Random tests repeat their seeds. The closing lines name these files.
 * Arguments are those of `vitest run`, for example `npm test -- test/unit`.
 */
const { filter, options } = parseCLI(['vitest', 'run', ...process.argv.slice(2)]);
const vitest = await createVitest('test', { config: 'test/vitest.config.ts', ...options, watch: false });
try {
  const { testModules, unhandledErrors } = await vitest.start(filter);
  const failed = testModules.filter((module) => !module.ok());
  if (failed.length > 0 && failed.length <= MOST_FILES && unhandledErrors.length === 0) {
    process.stdout.write(`\nSecond attempt: ${failed.map((module) => module.relativeModuleId).join(' ')}\n`);
    process.exitCode = 0;
    await vitest.runTestSpecifications(failed.map((module) => module.toTestSpecification()));
  }
} catch (error) {
  vitest.logger.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  await vitest.exit();
}
