import type { Rollback } from '../../operations/rollback.ts';
import type { History } from '../../operations/unit-texts.ts';
import { fieldSentences } from '../../output/field.ts';
import { HISTORY, historyJson } from '../../output/listings.ts';
import type { Ports } from '../../reconcile/ports.ts';
import { type Call, type Command, printInfo, printJson } from '../command.ts';
import { EXIT } from '../exit-status.ts';
import { DRY_RUN, OUTPUT, ROLLOUT, rolloutLimitsOf, textOption } from '../options.ts';
import { writeLines } from '../streams.ts';
import { runUnitVerb } from '../unit-command.ts';
import { listOptions, tableOf } from './lists.ts';

export const catCommand: Command = {
  name: 'cat',
  arguments: '<unit>',
  summary: 'Print the unit file from the registry',
  isReadOnly: true,
  takesTemplates: true,
  description:
    'Prints the unit file exactly as it was submitted; on a terminal, control characters are escaped. Only the registry is read.',
  options: [OUTPUT],
  examples: [
    ['fleetctl cat hello.service', 'print it'],
    ['fleetctl cat hello > hello.service', 'restore a lost file'],
  ],
  async run({ arguments: [unit = ''], options, flags, streams }) {
    const { withRegistry } = await import('../registry.ts');
    const { cat, textOf } = await import('../../operations/unit-texts.ts');
    const { textsJson } = await import('../../output/json.ts');
    const units = await withRegistry({ flags, streams }, (registry) => cat(registry, unit));
    if (options.output === 'json') await printJson(streams, textsJson(units));
    else streams.exact(textOf(units));
    return EXIT.done;
  },
};

export const historyCommand: Command = {
  name: 'history',
  arguments: '<unit>',
  summary: 'List all texts of a unit',
  isReadOnly: true,
  takesTemplates: true,
  description: `Shows the newest text first. Destroyed units have a history too. Machines are contacted only if they may have reverted the newest text (Confirm=). ${fieldSentences(HISTORY)}`,
  options: listOptions(HISTORY),
  examples: [
    ['fleetctl history web.service', 'times and authors of changes'],
    ['fleetctl history web.service -o json', 'the same, as JSON'],
  ],
  async run({ arguments: [unit = ''], options, flags, streams }) {
    const { withRegistry } = await import('../registry.ts');
    const { history } = await import('../../operations/unit-texts.ts');
    const render = await tableOf(HISTORY, options);
    const stored = await withRegistry({ flags, streams }, (registry) => history(registry, unit));
    const found = stored.mayBeReverted ? await asMachinesReport(stored, { flags, streams }) : stored;
    if (options.output === 'json') await printJson(streams, historyJson(found));
    else streams.out(await render(found.rows));
    return EXIT.done;
  },
};

/** The history with the reverts that are not stored yet; warns about machines that do not answer. */
async function asMachinesReport(
  stored: History,
  { flags, streams }: Pick<Call, 'flags' | 'streams'>,
): Promise<History> {
  const { withSnapshotSource } = await import('../snapshot-source.ts');
  const { withReverts } = await import('../../operations/unit-texts.ts');
  const { unreachableMachines } = await import('../../operations/listing.ts');
  const { unreachableLines } = await import('../../output/report.ts');
  const snapshot = await withSnapshotSource({ flags, streams }, (source) => source());
  writeLines(streams.err, unreachableLines(unreachableMachines(snapshot)));
  return withReverts(stored, snapshot);
}

export const rollbackCommand: Command = {
  name: 'rollback',
  arguments: '<unit>',
  summary: 'Restore an earlier text of a unit',
  topic: 'updates',
  takesTemplates: true,
  description:
    'Restores the last good text before the current one, or the one of --to, as a new entry of the history. A text is good if its last start succeeded. The machines are updated, and running units are restarted if their text changes. The instances of a template follow it. A second rollback goes back one text further.',
  options: [
    { flags: '--to <hash>', description: 'text with this hash, or the beginning of it' },
    ...ROLLOUT,
    DRY_RUN,
    OUTPUT,
  ],
  examples: [
    ['fleetctl rollback web.service', 'undo the last --replace'],
    ['fleetctl rollback web.service --to 8ff68b9', 'a hash of fleetctl history'],
    ['fleetctl rollback web.service --dry-run', 'show the planned steps'],
  ],
  async run(call) {
    const { rollback } = await import('../../operations/rollback.ts');
    const { rollbackJson } = await import('../../output/request-json.ts');
    const [unit = ''] = call.arguments;
    const { dryRun, output } = call.options;
    const to = textOption(call.options.to);
    const operation = async (ports: Ports): Promise<Rollback> => {
      const request = await rollback(ports, { unit, to, limits: rolloutLimitsOf(call.options) });
      const hash = request.entry.hash.slice(0, 7);
      if (output === 'json') return request;
      if (dryRun === true) writeLines(call.streams.out, [`Unit ${request.unit} would get the text ${hash}`]);
      else printInfo(call.streams, [`Unit ${request.unit} gets the text ${hash}`]);
      if (to === undefined && request.entry.verdict === undefined)
        writeLines(call.streams.err, [
          `Warning: it is unknown whether text ${hash} of unit "${request.unit}" has ever started successfully`,
        ]);
      return request;
    };
    return runUnitVerb('rollback', call, operation, rollbackJson);
  },
};
