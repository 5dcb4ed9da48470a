import { setTimeout as wait } from 'node:timers/promises';
import type { JournalQuestion, JournalReader, JournalResult } from '../../operations/journal.ts';
import type { Call, Command } from '../command.ts';
import { journalStatus } from '../exit-status.ts';
import { MACHINE, numberOption, textOption } from '../options.ts';
import { raised, untilInterrupted } from '../signals.ts';
import { hasColours, writeLines } from '../streams.ts';

/** The same number as CoreOS fleet. */
const LINES = 10;
/** The time limit for ending journalctl on the machines after Ctrl-C, in ms. */
const END_MS = 3000;

/** The formats of journalctl(1) for programs, whose bytes must not change, and all formats. */
const FOR_PROGRAMS: ReadonlySet<string> = new Set(['export', 'json', 'json-pretty', 'json-sse', 'json-seq']);
const FORMATS = [
  ...['short', 'short-full', 'short-iso', 'short-iso-precise', 'short-precise', 'short-monotonic'],
  ...['short-unix', 'short-delta', 'with-unit', 'cat', 'verbose'],
  ...FOR_PROGRAMS,
];

export const journalCommand: Command = {
  name: 'journal',
  arguments: '<unit...>',
  summary: 'Show the journal of units on all their machines',
  isReadOnly: true,
  description:
    'For one unit on one machine, the lines are those of journalctl. Entries of several units or machines are merged by the clocks of the machines, and every line begins with [machine unit]. Errors of one machine are reported on standard error; the entries of the others are still shown.',
  options: [
    {
      flags: '-f, --follow',
      description: 'follow new entries until Ctrl-C; lost connections are opened again',
    },
    {
      flags: '-n, --lines <number>',
      description: `number of lines, for all machines together (default ${LINES}; all with --since or --until)`,
    },
    {
      flags: '--since <time>',
      description: 'entries from this time on, as for journalctl: "2026-11-23 06:00", "-1h", today',
    },
    { flags: '--until <time>', description: 'entries up to this time' },
    { flags: '-o, --output <format>', description: 'output format of journalctl', choices: FORMATS },
    MACHINE,
    { flags: '--sudo', description: 'use sudo even where fleet.conf has become = none' },
  ],
  examples: [
    ['fleetctl journal hello.service', 'its last ten lines'],
    ['fleetctl journal -f everywhere', 'a global unit, live from all machines'],
    ["fleetctl journal 'web@*' --since -1h", 'all instances, in one order'],
    ['fleetctl journal hello -n 100 -o json', 'all fields, one entry per line'],
  ],
  async run(call) {
    const lines = numberOption('--lines', call.options.lines);
    const { withPorts } = await import('../context.ts');
    const { readJournals } = await import('../../operations/journal.ts');
    const output = await import('../../output/journal.ts');
    const { machineTitle } = await import('../../output/format.ts');
    const question = questionOf(call, lines, output.canFormat);
    const { out, err, exact } = call.streams;
    const colours = hasColours(call.streams);
    const reader: JournalReader = {
      text: FOR_PROGRAMS.has(question.output) ? exact : out,
      entries: (entries, merged) =>
        question.output === 'json'
          ? exact(output.entriesJson(entries, merged))
          : writeLines(out, output.entryLines(entries, question.output, { merged, colours })),
      lost: (machine, { message }) =>
        writeLines(err, [
          `Warning: the journal on machine ${machineTitle(machine)} stopped: ${message}; trying again`,
        ]),
      back: (machine) =>
        writeLines(err, [`Following machine ${machineTitle(machine)} again from where it stopped`]),
      missing: (result) => writeLines(err, output.missingLines(result)),
    };
    return untilInterrupted(async (signal) => {
      const work = withPorts(call, (ports) =>
        Promise.race([readJournals(ports, question, reader, signal), tooLong(signal)]),
      );
      return journalStatus(await work);
    });
  },
};

function questionOf(
  { arguments: units, options }: Call,
  lines: number | undefined,
  canFormat: (format: string) => boolean,
): JournalQuestion {
  const since = textOption(options.since);
  const until = textOption(options.until);
  const output = textOption(options.output) ?? 'short';
  return {
    verb: 'journal',
    units,
    machine: textOption(options.machine),
    lines: lines ?? (since === undefined && until === undefined ? LINES : undefined),
    since,
    until,
    output,
    canFormat: canFormat(output),
    follow: options.follow === true,
    sudo: options.sudo === true,
  };
}

/** Resolves when the work has not ended in time after an interruption. */
async function tooLong(signal: AbortSignal): Promise<JournalResult> {
  await raised(signal);
  await wait(END_MS, undefined, { ref: false });
  return { problems: [], unreachable: [], failures: [] };
}
