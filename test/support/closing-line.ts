import type { Reporter, TestCase, TestModule } from 'vitest/node';

/** Whether `.ci/run` has installed everything that tests use. */
const HAS_EVERYTHING = Boolean(process.env.CI) && process.getuid?.() === 0;

type Outcome = {
  readonly counts: Record<'passed' | 'failed' | 'skipped' | 'pending', number>;
  /** The number of skipped tests, by reason; undefined is no reason. */
  readonly skipped: ReadonlyMap<string | undefined, number>;
  readonly isOk: boolean;
};

/**
 * Prints a line for each file with skipped tests, one for each file that passed at its second attempt (`test/run.js`), and
 * a summary as the last line. Fails a run without tests, because it would pass by finding none, and a run that skips tests
 * without a reason although everything is installed.
 */
export class ClosingLine implements Reporter {
  /** By file. A second attempt replaces the first. */
  readonly #outcomes = new Map<string, Outcome>();
  readonly #failedFirst = new Set<string>();
  #text = '';

  onTestModuleEnd(module: TestModule): void {
    const file = module.relativeModuleId;
    const isOk = module.ok();
    if (!isOk && !this.#outcomes.has(file)) this.#failedFirst.add(file);
    this.#outcomes.set(file, { ...tally([...module.children.allTests()]), isOk });
  }

  onTestRunEnd(): void {
    const outcomes = [...this.#outcomes];
    const count = (state: 'passed' | 'failed' | 'skipped'): number =>
      outcomes.reduce((sum, [, { counts }]) => sum + counts[state], 0);
    const [passed, failed] = [count('passed'), count('failed')];
    const isIncomplete = outcomes.some(([, { skipped }]) => skipped.has(undefined));
    if (passed + failed === 0 || (HAS_EVERYTHING && isIncomplete)) process.exitCode = 1;
    const skips = outcomes.flatMap(([file, { skipped }]) =>
      [...skipped].map(([why, tests]) => `Skipped ${tests} of ${file}: ${why ?? 'not possible here'}\n`),
    );
    const repeated = outcomes
      .filter(([file, { isOk }]) => isOk && this.#failedFirst.has(file))
      .map(([file]) => `Passed at the second attempt: ${file}\n`);
    const summary = `Tests: ${passed} passed, ${failed} failed, ${count('skipped')} skipped\n`;
    // Later than the summary of the default reporter, independent of the order of reporters.
    if (this.#text === '') process.once('exit', () => process.stdout.write(this.#text));
    this.#text = `\n${[...skips, ...repeated].join('')}${summary}`;
  }
}

function tally(tests: readonly TestCase[]): Pick<Outcome, 'counts' | 'skipped'> {
  const counts = { passed: 0, failed: 0, skipped: 0, pending: 0 };
  const skipped = new Map<string | undefined, number>();
  for (const test of tests) {
    const result = test.result();
    counts[result.state] += 1;
    // With a name filter (-t), tests without a reason are mostly those that do not match.
    const isFiltered = test.project.config.testNamePattern !== undefined;
    if (result.state === 'skipped' && !(isFiltered && result.note === undefined))
      skipped.set(result.note, (skipped.get(result.note) ?? 0) + 1);
  }
  return { counts, skipped };
}
