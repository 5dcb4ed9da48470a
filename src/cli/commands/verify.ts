import { type Command, OUTPUT, printAnswer } from '../command.ts';
import { EXIT } from '../exit-status.ts';
import { submitRequest } from '../unit-command.ts';

export const verifyCommand: Command = {
  name: 'verify',
  arguments: '<file...>',
  summary: 'Check unit files, also by systemd on the machines, and change nothing',
  description:
    'Checks what fleet reads of unit files, then has systemd check all of them together on every machine they could go to: programs that are missing there, misspelt settings, units that are required and not there. Units of the registry can be checked too. Exits with 1 when anything fails. `fleetctl start --verify` does it first.',
  options: [
    { flags: '--machine <machine>', description: 'ask this machine alone, whether they fit it or not' },
    OUTPUT,
  ],
  examples: [
    ['fleetctl verify app.service app.timer', 'two files that belong together'],
    ['fleetctl verify app.service --machine web-1', 'on one machine'],
    ['fleetctl verify app.service -o json', 'what every machine says, as JSON'],
  ],
  async run(call) {
    const [{ withEdges }, { verify }, { verificationJson, verificationReport }] = await Promise.all([
      import('../context.ts'),
      import('../../operations/verify.ts'),
      import('../../output/verification.ts'),
    ]);
    const { options, flags, streams } = call;
    const machine = typeof options.machine === 'string' ? options.machine : undefined;
    const request = { ...submitRequest(call), replace: true, machine };
    const verification = await withEdges(flags, streams, (edges) => verify(edges, request), { dryRun: true });
    await printAnswer(call, verificationReport(verification), () => verificationJson(verification));
    if (verification.passed) return EXIT.done;
    const silent = machine !== undefined && verification.unreachable.length > 0;
    return silent ? EXIT.unreachable : EXIT.failed;
  },
};
