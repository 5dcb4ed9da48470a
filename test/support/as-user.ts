import { chownSync } from 'node:fs';

const NOBODY = 65_534;

/** Does `work` as somebody whom permissions bind, to whom the paths belong: whoever runs this, or nobody for root. */
export async function asUser(paths: readonly string[], work: () => Promise<void>): Promise<void> {
  if (process.geteuid?.() !== 0) return work();
  for (const path of paths) chownSync(path, NOBODY, NOBODY);
  process.seteuid?.(NOBODY);
  try {
    await work();
  } finally {
    process.seteuid?.(0);
  }
}
