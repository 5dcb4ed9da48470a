/** Epoch ms → `2026-11-23T06:05:41Z`: the same on every machine, and what `--since` and scripts read back. */
export function formatTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}
