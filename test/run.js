import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setPriority } from 'node:os';
import { text } from 'node:stream/consumers';
import { createVitest, parseCLI } from 'vitest/node';

/** With more failed files than this, load is not the cause. */
const MOST_FILES = 6;
/** The priority of the checks: tests that wait for something have time limits. */
const NICENESS = 5;

/**
 * Runs all tests, and meanwhile the checks of types and style. Files that failed run a second time, without the load of all others,
 * because some time limits of the product are seconds and six clusters share this box. Random tests repeat their seeds. The closing
 * lines name these files. Arguments are those of `vitest run`, for example `npm test -- test/unit`.
 */
const checks = Promise.all([check('types'), check('lint')]);
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
  for (const failure of (await checks).filter(Boolean)) {
    process.stdout.write(failure);
    process.exitCode = 1;
  }
  await vitest.exit();
}

/** Runs a script of the package. Resolves to its output if it fails. */
async function check(script) {
  const child = spawn('npm', ['run', script], { stdio: ['ignore', 'pipe', 'pipe'] });
  setPriority(child.pid, NICENESS);
  const [[status], ...output] = await Promise.all([
    once(child, 'close'),
    text(child.stdout),
    text(child.stderr),
  ]);
  return status === 0 ? undefined : `${output.join('')}\nFailed: npm run ${script}\n`;
}
