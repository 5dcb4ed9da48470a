import type { Reporter, TestCase } from 'vitest/node';

/**
 * Prints one plain line when everything is over, and fails a run in which no test ran: a suite that sees
 * nothing would pass everything.
 */
export class ClosingLine implements Reporter {
  readonly #counts = { passed: 0, failed: 0, skipped: 0, pending: 0 };

  onTestCaseResult(test: TestCase): void {
    this.#counts[test.result().state] += 1;
  }

  onTestRunEnd(): void {
    const { passed, failed, skipped } = this.#counts;
    if (passed + failed === 0) process.exitCode = 1;
    // After the default reporter's summary, whatever the order of reporters.
    process.once('exit', () =>
      process.stdout.write(`\nTests: ${passed} passed, ${failed} failed, ${skipped} skipped\n`),
    );
  }
}
