import { type Command, writeLines } from '../command.ts';

export const submitCommand: Command = {
  name: 'submit',
  arguments: '<unit...>',
  summary: 'Put unit files into the registry without placing them',
  description:
    'Checks unit files and stores them. No machine is contacted. A unit that the registry has already stays as it is; a local file that differs from it is reported.',
  options: [],
  examples: [
    ['fleetctl submit hello.service', 'store ./hello.service'],
    ['fleetctl submit units/web@.service', 'store a template, to start instances of it from anywhere'],
  ],
  async run({ arguments: units, flags, streams }) {
    const [{ withRegistry }, { submit }, { requestReport }, { requestStatus }] = await Promise.all([
      import('../context.ts'),
      import('../../operations/submit.ts'),
      import('../../output/report.ts'),
      import('../exit-status.ts'),
    ]);
    const submission = await withRegistry(flags, streams, (registry) => submit(registry, units, streams.cwd));
    const { problems, differing, created } = submission;
    const request = { results: [], problems, differing };
    writeLines(
      streams.out,
      [...created].map((unit) => `Unit ${unit} inactive`),
    );
    writeLines(streams.err, requestReport('load', request).err);
    return requestStatus(request);
  },
};
