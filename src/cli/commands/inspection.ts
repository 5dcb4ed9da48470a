import { type Command, printAnswer, printJson } from '../command.ts';
import { EXIT, statusStatus } from '../exit-status.ts';
import { MACHINE, numberOption, OUTPUT, TABLE_OUTPUT, textOption } from '../options.ts';
import { untilInterrupted } from '../signals.ts';
import { writeLines } from '../streams.ts';
import { submitRequest } from '../unit-command.ts';

/** The same number of journal lines as systemctl. */
const LINES = 10;

export const statusCommand: Command = {
  name: 'status',
  arguments: '<unit...>',
  summary: 'Show the status of units on all their machines',
  isReadOnly: true,
  description:
    'Prints the output of systemctl status for each unit, for global units on all their machines. The exit status is 0 if all units are active, 3 if one is not, 4 if one does not exist and 5 if one of the machines is unreachable; the other units are shown in any case.',
  options: [
    MACHINE,
    { flags: '-n, --lines <number>', description: `number of journal lines (default ${LINES})` },
    OUTPUT,
  ],
  examples: [
    ['fleetctl status hello.service', 'one unit'],
    ['fleetctl status everywhere --machine web-1', 'a global unit on one of its machines'],
    ["fleetctl status 'web@*' -n 0", 'all instances, without their journals'],
    ['fleetctl status hello -o json', 'properties of systemd as JSON'],
  ],
  async run({ arguments: units, options, flags, streams }) {
    const json = options.output === 'json';
    const lines = numberOption('--lines', options.lines) ?? LINES;
    const { withPorts } = await import('../context.ts');
    const { unitStatus } = await import('../../operations/status.ts');
    const { statusJson, statusReport } = await import('../../output/status.ts');
    const machine = textOption(options.machine);
    const request = { verb: 'status', units, machine, lines: json ? undefined : lines };
    const result = await withPorts({ flags, streams }, (ports) => unitStatus(ports, request));
    await printAnswer({ options, streams }, statusReport(result), () => statusJson(result));
    return statusStatus(result);
  },
};

export const eventsCommand: Command = {
  name: 'events',
  arguments: '[unit-or-machine...]',
  summary: 'Show decisions with their times, reasons and authors',
  isReadOnly: true,
  description:
    'Shows changes of target states, placements and moves with their reasons, and machines that became unreachable or reachable; oldest first. Only the registry is read; it keeps the last 500 changes. Globs are accepted.',
  options: [
    { flags: '-f, --follow', description: 'follow new events until Ctrl-C' },
    { flags: '-n, --lines <n>', description: 'only the last n events' },
    { ...OUTPUT, description: 'output format; json is one object per line' },
  ],
  examples: [
    ['fleetctl events', 'all events'],
    ['fleetctl events web.service', 'events of one unit'],
    ["fleetctl events -f -o json 'web@*' m1", 'follow units and a machine as JSON'],
  ],
  async run({ arguments: about, options, flags, streams }) {
    const lines = numberOption('--lines', options.lines);
    const { withRegistry } = await import('../registry.ts');
    const { followEvents, listEvents } = await import('../../operations/list-events.ts');
    const { eventJson, eventLine } = await import('../../output/events.ts');
    const toLine = (row: Parameters<typeof eventLine>[0]): string =>
      options.output === 'json' ? JSON.stringify(eventJson(row)) : eventLine(row);
    const request = { about, lines };
    if (options.follow !== true) {
      const rows = await withRegistry({ flags, streams }, (registry) => listEvents(registry, request));
      writeLines(streams.out, rows.map(toLine));
      return EXIT.done;
    }
    return untilInterrupted((signal) =>
      withRegistry({ flags, streams }, async (registry) => {
        for await (const rows of followEvents(registry, request, signal)) {
          writeLines(streams.out, rows.map(toLine));
        }
        return EXIT.done;
      }),
    );
  },
};

export const explainCommand: Command = {
  name: 'explain',
  arguments: '<unit>',
  summary: 'Explain why a unit is on its machine, or on none',
  topic: 'placement',
  isReadOnly: true,
  description:
    'Applies every placement rule to every machine and shows the current or future machine of the unit, the runner-up, and the events that would move the unit. Unit files that are not submitted yet are accepted too. Nothing is changed.',
  options: [{ flags: '-l, --full', description: 'show all rules, including satisfied ones' }, TABLE_OUTPUT],
  examples: [
    ['fleetctl explain web.service', 'reasons for its machine'],
    ['fleetctl explain units/new.service', 'where a unit file would go'],
    ['fleetctl explain web.service -o json', 'every rule on every machine, as JSON'],
  ],
  async run({ arguments: [unit = ''], options, flags, streams }) {
    const { withPorts } = await import('../context.ts');
    const { explainUnit } = await import('../../operations/explain.ts');
    const output = await import('../../output/explanation.ts');
    const { renderTable } = await import('../../output/table.ts');
    const { unreachableLines } = await import('../../output/report.ts');
    const explanation = await withPorts(
      { flags, streams },
      (ports) => explainUnit(ports, { unit, cwd: streams.cwd }),
      { dryRun: true },
    );
    if (options.output === 'json') await printJson(streams, output.explanationJson(explanation));
    else {
      const full = options.full === true;
      writeLines(streams.out, output.explanationLines(explanation));
      streams.out(
        await renderTable(output.RULES, output.ruleRows(explanation, full), { legend: true, full }),
      );
    }
    const { differing } = explanation;
    if (differing !== undefined)
      writeLines(streams.err, [
        `Warning: file "${differing.path}" differs from the registry; the registry's text is explained`,
      ]);
    writeLines(streams.err, unreachableLines(explanation.unreachable));
    return EXIT.done;
  },
};

export const verifyCommand: Command = {
  name: 'verify',
  arguments: '<file...>',
  summary: 'Check unit files, also with systemd on the machines',
  isReadOnly: true,
  description:
    'Checks the options of fleet in unit files, then runs systemd-analyze verify on all of them together, on every machine that fits: missing programs, misspelt settings, missing required units. Units of the registry are accepted too. The exit status is 1 if any check fails. Nothing is changed. `fleetctl start --verify` runs this check before a start.',
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
