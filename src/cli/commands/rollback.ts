import type { Rollback } from '../../operations/rollback.ts';
import type { Ports } from '../../reconcile/reconcile.ts';
import { type Command, OUTPUT, talk } from '../command.ts';
import { writeLines } from '../streams.ts';
import { DRY_RUN, runUnitVerb } from '../unit-command.ts';

export const rollbackCommand: Command = {
  name: 'rollback',
  arguments: '<unit>',
  summary: 'Restore an earlier version of a unit file',
  description:
    'Restores the last good version before the current one, or the one of --to, as a new entry of the history. A version is good if its last start succeeded. The machines are updated, and running units are restarted if their text changes. The instances of a template follow it. A second rollback goes back one version further.',
  options: [
    { flags: '--to <hash>', description: 'version with this hash, or the beginning of it' },
    DRY_RUN,
    OUTPUT,
  ],
  examples: [
    ['fleetctl rollback web.service', 'undo the last --replace'],
    ['fleetctl rollback web.service --to 8ff68b9', 'a hash of fleetctl history'],
    ['fleetctl rollback web.service --dry-run', 'show the planned steps'],
  ],
  async run(call) {
    const [{ rollback }, { rollbackJson }] = await Promise.all([
      import('../../operations/rollback.ts'),
      import('../../output/request-json.ts'),
    ]);
    const [unit = ''] = call.arguments;
    const { to, dryRun, output } = call.options;
    const operation = async (ports: Ports): Promise<Rollback> => {
      const request = await rollback(ports, { unit, to: typeof to === 'string' ? to : undefined });
      const hash = request.entry.hash.slice(0, 7);
      if (output === 'json') return request;
      if (dryRun === true) writeLines(call.streams.out, [`Unit ${request.unit} would get the text ${hash}`]);
      else talk(call.streams, [`Unit ${request.unit} gets the text ${hash}`]);
      if (to === undefined && request.entry.verdict === undefined)
        writeLines(call.streams.err, [
          `Warning: it is not known whether text ${hash} of unit "${request.unit}" ever came up`,
        ]);
      return request;
    };
    return runUnitVerb('rollback', call, operation, rollbackJson);
  },
};
