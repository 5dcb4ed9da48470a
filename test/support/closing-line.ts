import type { Reporter, TestCase } from 'vitest/node';

/** Whether `.ci/run` has installed everything that tests use. */
const HAS_EVERYTHING = Boolean(process.env.CI) && process.getuid?.() === 0;

/**
 * Prints a line for each file with skipped tests and a summary as the last line. Fails a run without tests, because it
 * would pass by finding none, and a run that skips tests without a reason although everything is installed.
 */
export class ClosingLine implements Reporter {
  readonly #counts = { passed: 0, failed: 0, skipped: 0, pending: 0 };
  /** The number of skipped tests, by file and reason. */
  readonly #skipped = new Map<string, number>();
  #isIncomplete = false;

  onTestCaseResult(test: TestCase): void {
    const result = test.result();
    this.#counts[result.state] += 1;
    // With a name filter (-t), tests without a reason are mostly those that do not match.
    const isFiltered = test.project.config.testNamePattern !== undefined;
    if (result.state !== 'skipped' || (isFiltered && result.note === undefined)) return;
    if (result.note === undefined) this.#isIncomplete = true;
    const what = `${test.module.relativeModuleId}: ${result.note ?? 'not possible here'}`;
    this.#skipped.set(what, (this.#skipped.get(what) ?? 0) + 1);
  }

  onTestRunEnd(): void {
    const { passed, failed, skipped } = this.#counts;
    if (passed + failed === 0 || (HAS_EVERYTHING && this.#isIncomplete)) process.exitCode = 1;
    const skips = [...this.#skipped].map(([what, count]) => `Skipped ${count} of ${what}\n`).join('');
    // Later than the summary of the default reporter, independent of the order of reporters.
    process.once('exit', () =>
      process.stdout.write(`\n${skips}Tests: ${passed} passed, ${failed} failed, ${skipped} skipped\n`),
    );
  }
}
