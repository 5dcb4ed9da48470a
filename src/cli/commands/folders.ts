import { type Command, printInfo, printJson } from '../command.ts';
import { EXIT, requestStatus } from '../exit-status.ts';
import { OUTPUT, textOption } from '../options.ts';
import { refuseController } from '../own-config.ts';
import { writeLines } from '../streams.ts';
import { wantedBy } from './apply.ts';

export const diffCommand: Command = {
  name: 'diff',
  arguments: '[path...]',
  summary: 'Show how a folder of unit files differs from the registry',
  topic: 'folders',
  isReadOnly: true,
  description:
    'Prints unified diffs, for patch(1), between the texts of the registry and the unit files below the paths (the current folder by default). Only the registry is read. The exit status is 6 if there are differences, and 0 if there are none.',
  options: [OUTPUT],
  examples: [
    ['fleetctl diff units', 'all differences'],
    ['fleetctl diff units/web.service', 'those of one file'],
  ],
  async run(call) {
    refuseController(call.flags, call.streams);
    const { withRegistry } = await import('../registry.ts');
    const { textDifferences } = await import('../../operations/sets/edits.ts');
    const wanted = await wantedBy(call, 'any');
    const { files, problems } = await withRegistry(call, async (registry) =>
      textDifferences(wanted, await registry.load()),
    );
    const { options, streams } = call;
    const { differenceLines } = await import('../../output/difference.ts');
    if (options.output === 'json') {
      const { problemsJson } = await import('../../output/json.ts');
      const differing = files.map(({ unit, path, registryText, fileText }) => ({
        ...{ unit, path, text: { before: registryText === '' ? null : registryText, after: fileText } },
      }));
      await printJson(streams, { differing, problems: problemsJson(problems) });
    } else writeLines(streams.out, files.flatMap(differenceLines));
    if (problems.length === 0) return files.length === 0 ? EXIT.done : EXIT.changes;
    const { errorLines } = await import('../../output/report.ts');
    writeLines(
      streams.err,
      problems.flatMap(({ error }) => errorLines(error)),
    );
    return requestStatus({ results: [], problems });
  },
};

export const exportCommand: Command = {
  name: 'export',
  arguments: '<folder>',
  summary: 'Write the unit files of the registry into a folder',
  topic: 'folders',
  isReadOnly: true,
  description:
    'Writes the unit files of the registry, or of one set, into a new or empty folder, for which "fleetctl plan" finds no change. Target= is added to the [X-Fleet] section of a unit that is only loaded or inactive, and instances are links to their template. Only the registry is read.',
  options: [{ flags: '--set <name>', description: 'only the units of this set' }],
  examples: [
    ['fleetctl export units', 'put a cluster under version control'],
    ['fleetctl export units --set web', 'only the units of a set'],
  ],
  async run({ arguments: [folder = ''], options, flags, streams }) {
    const { withRegistry } = await import('../registry.ts');
    const { exportUnits } = await import('../../operations/sets/export.ts');
    const set = textOption(options.set);
    const { written, sets, problems } = await withRegistry({ flags, streams }, (registry) =>
      exportUnits(registry, { folder, cwd: streams.cwd, set }),
    );
    printInfo(streams, [`Exported ${written} unit ${written === 1 ? 'file' : 'files'} to ${folder}`]);
    const [first] = sets;
    const hint =
      sets.length > 1
        ? `The units belong to sets ${sets.join(', ')}: export each set with --set`
        : `Plan it: fleetctl plan ${folder}${first === undefined ? '' : ` --set ${first}`}`;
    const { errorLines, hintLines } = await import('../../output/report.ts');
    writeLines(streams.err, [...problems.flatMap(({ error }) => errorLines(error)), ...hintLines(hint)]);
    return problems.length === 0 ? EXIT.done : EXIT.failed;
  },
};
