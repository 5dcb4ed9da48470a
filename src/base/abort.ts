/**
 * Runs `work` with a signal that aborts with any of `signals`. AbortSignal.any would do, but as of Node 20 it leaves
 * something behind in a signal that lives long, every time.
 */
export async function untilAny<T>(
  signals: readonly AbortSignal[],
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const any = new AbortController();
  const abort = (): void => any.abort();
  for (const signal of signals) {
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort);
  }
  try {
    return await work(any.signal);
  } finally {
    for (const signal of signals) signal.removeEventListener('abort', abort);
  }
}
