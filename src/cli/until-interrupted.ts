import { EXIT } from './exit-status.ts';
import { takeOver } from './take-over.ts';

/** Ctrl-C ends the work in order, and what it leads to does not matter then. */
export async function untilInterrupted(work: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const interrupt = new AbortController();
  const giveBack = takeOver(process, 'SIGINT', () => interrupt.abort());
  try {
    const status = await work(interrupt.signal);
    return interrupt.signal.aborted ? EXIT.interrupted : status;
  } catch (error) {
    if (interrupt.signal.aborted) return EXIT.interrupted;
    throw error;
  } finally {
    giveBack();
  }
}
