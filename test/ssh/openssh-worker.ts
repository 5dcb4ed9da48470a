import { OpensshTransport } from '../../src/ssh/openssh/transport.ts';
import type { SshTarget } from '../../src/ssh/target.ts';

// A process that has a command running on a machine and says so. Argument: the target.
const target = JSON.parse(process.argv[2] ?? '') as SshTarget;
const transport = new OpensshTransport({
  configFile: 'none',
  hasTerminal: false,
  environment: process.env,
});
const command = await transport.exec(target, 'echo runs; sleep 30');
command.onStdout((chunk) => process.stdout.write(chunk));
