import { type Command, printJson } from '../command.ts';
import { EXIT } from '../exit-status.ts';
import { TABLE_OUTPUT } from '../options.ts';
import { writeLines } from '../streams.ts';

export const explainCommand: Command = {
  name: 'explain',
  arguments: '<unit>',
  summary: 'Explain why a unit is on its machine, or on none',
  topic: 'placement',
  isReadOnly: true,
  description:
    'Applies every placement rule to every machine and shows the current or future machine of the unit, the second choice, and the events that would move the unit. Unit files that are not submitted yet are accepted too. Nothing is changed.',
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
