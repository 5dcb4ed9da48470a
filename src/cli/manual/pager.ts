import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { visible } from '../../base/visible.ts';
import type { Streams } from '../streams.ts';

/** Shows a text that is longer than the terminal with $PAGER (`less` unless set), any other at once. */
export async function showPaged(text: string, streams: Streams): Promise<void> {
  const rows = streams.screen?.size().rows;
  const pager = streams.env.PAGER ?? 'less';
  const isShort = rows === undefined || text.split('\n').length <= rows;
  if (isShort || pager.trim() === '' || !(await page(text, pager, streams))) streams.out(text);
}

/** Whether the pager could be started. */
async function page(text: string, pager: string, { env }: Streams): Promise<boolean> {
  // Ctrl-C belongs to the pager.
  const ignore = (): void => undefined;
  const others = process.listeners('SIGINT');
  process.removeAllListeners('SIGINT').on('SIGINT', ignore);
  try {
    // A user may set PAGER to a command with options.
    const child = spawn('/bin/sh', ['-c', pager], {
      stdio: ['pipe', 'inherit', 'inherit'],
      env: { ...env, LESS: env.LESS ?? 'FRX' },
    });
    child.stdin.on('error', ignore);
    child.stdin.end(visible(text));
    const [status] = await once(child, 'close');
    return status !== 126 && status !== 127;
  } catch {
    return false;
  } finally {
    process.removeListener('SIGINT', ignore);
    for (const each of others) process.on('SIGINT', each);
  }
}
