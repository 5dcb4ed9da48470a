import type { Reporter, TestCase } from 'vitest/node';

/** Where `.ci/run` has installed all that tests use. */
const HAS_EVERYTHING = Boolean(process.env.CI) && process.getuid?.() === 0;

/**
 * Prints one plain line when everything is over, after one for each file with tests that were skipped. Fails a run in
 * which no test ran, since a suite that sees nothing would pass everything; and one that skips tests where everything
 * is there, unless they say why.
 */
export class ClosingLine implements Reporter {
  readonly #counts = { passed: 0, failed: 0, skipped: 0, pending: 0 };
  /** How many tests of a file were skipped, by the file and why. */
  readonly #skipped = new Map<string, number>();
  #isIncomplete = false;

  onTestCaseResult(test: TestCase): void {
    const result = test.result();
    this.#counts[result.state] += 1;
    // With a name filter (-t) most of those that say no reason were not asked for.
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
    // After the default reporter's summary, whatever the order of reporters.
    process.once('exit', () =>
      process.stdout.write(`\n${skips}Tests: ${passed} passed, ${failed} failed, ${skipped} skipped\n`),
    );
  }
}
