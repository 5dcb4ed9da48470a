import { type Command, printAnswer } from '../command.ts';
import { EXIT } from '../exit-status.ts';
import { OUTPUT, textOption } from '../options.ts';
import { submitRequest } from '../unit-command.ts';

export const verifyCommand: Command = {
  name: 'verify',
  arguments: '<file...>',
  summary: 'Check unit files, also with systemd on the machines',
  isReadOnly: true,
  description:
    'Checks the options of fleet in unit files, then runs systemd-analyze verify on all of them together on every feasible machine: missing programs, misspelt settings, missing required units. Units of the registry are accepted too. The exit status is 1 if any check fails. Nothing is changed. `fleetctl start --verify` runs this check before a start.',
  options: [
    {
      flags: '--machine <machine>',
      description: 'check on this machine only, even if the units cannot run there',
    },
    OUTPUT,
  ],
  examples: [
    ['fleetctl verify app.service app.timer', 'two files that belong together'],
    ['fleetctl verify app.service --machine web-1', 'on one machine'],
    ['fleetctl verify app.service -o json', 'results of every machine as JSON'],
  ],
  async run(call) {
    const { withPorts } = await import('../context.ts');
    const { verify } = await import('../../operations/verify.ts');
    const { verificationJson, verificationReport } = await import('../../output/verification.ts');
    const machine = textOption(call.options.machine);
    const request = { ...submitRequest(call), replace: true, machine };
    const verification = await withPorts(call, (ports) => verify(ports, request), { dryRun: true });
    await printAnswer(call, verificationReport(verification), () => verificationJson(verification));
    if (verification.passed) return EXIT.done;
    const unreachable = machine !== undefined && verification.unreachable.length > 0;
    return unreachable ? EXIT.unreachable : EXIT.failed;
  },
};
