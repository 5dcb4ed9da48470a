import type { SshTarget } from './target.ts';
import type { Transport } from './transport.ts';

/**
 * Tells every process that was started over the transport's connection to the machine to end (SIGTERM), with its
 * whole process group. A command without a terminal is not told by sshd when its connection goes away, and the
 * signal request of SSH does nothing for root before OpenSSH 9.8. So a second session asks who has the same
 * parent as itself: the sshd process of this connection. Rejects when that session fails.
 */
export async function hangUp(transport: Transport, target: SshTarget): Promise<void> {
  const sweep = await transport.exec(target, 'exec /bin/sh -s');
  sweep.onStdout(() => undefined);
  sweep.onStderr(() => undefined);
  sweep.write(SWEEP);
  sweep.end();
  await sweep.exit;
}

/** sshd makes every command the leader of its own session, so its process id is that of its group. */
const SWEEP = `
for file in $(grep -ls "^PPid:[[:space:]]*$PPID\\$" /proc/[0-9]*/status); do
  process=\${file#/proc/}
  process=\${process%/status}
  [ "$process" = "$$" ] || kill -s TERM -- "-$process"
done
`;
