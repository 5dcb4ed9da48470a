import { FleetError, inQuotes } from '../../base/errors.ts';
import type { Applied, ApplyRequest } from '../../operations/sets/apply.ts';
import type { SetOptions } from '../../operations/sets/edits.ts';
import type { SetPlan } from '../../operations/sets/plan.ts';
import type { WantedSet } from '../../operations/sets/wanted.ts';
import type { Ports } from '../../reconcile/ports.ts';
import {
  type Call,
  type Command,
  type CommandOption,
  printAnswer,
  printInfo,
  printJson,
} from '../command.ts';
import { EXIT, type ExitStatus, planStatus, requestStatus } from '../exit-status.ts';
import {
  DRY_RUN,
  LIMITS,
  numberOption,
  OUTPUT,
  RETRY,
  ROLLOUT,
  rolloutLimitsOf,
  textOption,
  waitPolicyOf,
} from '../options.ts';
import { refuseController } from '../own-config.ts';
import { confirms, hasColours, writeLines } from '../streams.ts';
import { plain } from '../terminal.ts';
import { leaseWaitOf } from '../unit-command.ts';

/** The options about the set of a folder. */
const SET_OPTIONS: readonly CommandOption[] = [
  { flags: '--set <name>', description: 'name of the set, by default that of the folder' },
  { flags: '--prune', description: 'also end the units of the set that the folder no longer has' },
  {
    flags: '--prune-limit <n>',
    description: 'end at most this many units (default: half of the set, and none for an empty folder)',
  },
  { flags: '--adopt', description: 'take over units that belong to another set' },
];

const VERBOSE: CommandOption = {
  flags: '-v, --verbose',
  description: 'show whole differences, new texts, and the reasons against other machines',
};

/** What a plan depends on besides the files, for both commands. */
const PLANNING: readonly CommandOption[] = [...SET_OPTIONS, ...ROLLOUT, RETRY];

const FORMAT: CommandOption = { ...OUTPUT, choices: ['text', 'json', 'markdown'] };

export const planCommand: Command = {
  name: 'plan',
  arguments: '[path...]',
  summary: 'Show what applying a folder would change',
  topic: 'folders',
  isReadOnly: true,
  description:
    'Reads all unit files below the paths (the current folder by default), compares them with the registry and the machines, and shows what "fleetctl apply" would do, with an id of the plan. Nothing is changed. The exit status is 6 if there are changes, and 0 if there are none.',
  options: [...PLANNING, VERBOSE, FORMAT],
  examples: [
    ['fleetctl plan units', 'what "fleetctl apply units" would change'],
    ['fleetctl plan units --prune', 'also which units it would end'],
    ['fleetctl plan units -o markdown', 'as a comment on a pull request'],
  ],
  async run(call) {
    return runPlan(call);
  },
};

export const applyCommand: Command = {
  name: 'apply',
  arguments: '[path...]',
  summary: 'Make the cluster match a folder of unit files',
  topic: 'folders',
  description:
    'Shows the plan of "fleetctl plan", asks, and executes it: all texts and target states are stored in one change, and one pass brings the units to their machines. A unit is launched unless its [X-Fleet] section has Target=loaded or Target=inactive, or another unit of the folder starts it. With --plan, only that plan is executed: if anything that it depends on has changed, nothing is done, and the new plan is shown.',
  options: [
    ...PLANNING,
    { flags: '-y, --yes', description: 'do not ask' },
    { flags: '--plan <id>', description: 'execute only this plan, without a question' },
    VERBOSE,
    ...LIMITS,
    DRY_RUN,
    OUTPUT,
  ],
  examples: [
    ['fleetctl apply units', 'show the plan, ask, and execute it'],
    ['fleetctl apply units --prune --yes', 'also end units that the folder no longer has'],
    ['fleetctl apply units --plan 3f9a2c41d05e77aa9be01c44-1042', 'execute that plan or nothing'],
  ],
  async run(call) {
    return call.options.dryRun === true ? runPlan(call) : runApply(call);
  },
};

async function runPlan(call: Call): Promise<ExitStatus> {
  refuseController(call.flags, call.streams);
  const id = await planIdOf(call.options);
  const { withPorts } = await import('../context.ts');
  const { planSet } = await import('../../operations/sets/plan.ts');
  const { staleness } = await import('../../operations/sets/apply.ts');
  const options = setOptions(call);
  const wanted = await wantedBy(call);
  const plan = await withPorts(call, (ports) => planSet(ports, wanted, options), { dryRun: true });
  const stale = id === undefined ? undefined : staleness(id, plan, wanted);
  if (stale !== undefined && plan.problems.length === 0) return report(call, stale);
  await showPlan(call, plan);
  return planStatus(plan);
}

async function runApply(call: Call): Promise<ExitStatus> {
  const { options, streams } = call;
  const id = await planIdOf(options);
  const mayStart = options.yes === true || id !== undefined;
  if (!mayStart && (streams.ask === undefined || options.output === 'json'))
    throw new FleetError('usage', 'Cannot ask whether to apply the plan: there is no terminal', {
      hint: 'Add --yes to apply it without a question; or --plan ID, with an id of "fleetctl plan"',
    });
  const { withPorts } = await import('../context.ts');
  const { applySet } = await import('../../operations/sets/apply.ts');
  const request: ApplyRequest = {
    ...setOptions(call),
    id,
    asks: !mayStart,
    leaseWaitMs: leaseWaitOf(options),
    async approve(plan) {
      if (options.output !== 'json') await showPlan(call, plan, mayStart);
      return mayStart || confirms(streams, 'Apply this plan? [y/N] ');
    },
  };
  const wait = waitPolicyOf(options);
  const wanted = await wantedBy(call);
  const work = (ports: Ports): Promise<Applied> => applySet(ports, wanted, request);
  return report(call, await withPorts(call, work, { controller: true, wait }));
}

async function planIdOf({ plan }: Call['options']): Promise<string | undefined> {
  const id = textOption(plan);
  if (id === undefined) return undefined;
  const { revisionOf } = await import('../../operations/sets/plan.ts');
  if (revisionOf(id) !== undefined) return id;
  throw new FleetError('usage', `Cannot apply plan ${inQuotes(id)}: it is not the id of a plan`, {
    hint: 'Ids are in the last line of "fleetctl plan", and in "plan" of its JSON',
  });
}

/** The set of the folder that the command line names; `unnamed` is the name of a set that does not matter. */
export async function wantedBy(
  { arguments: paths, options, streams }: Call,
  unnamed?: string,
): Promise<WantedSet> {
  const { readUnitFolder } = await import('../../operations/sets/folder.ts');
  const { wantedSet } = await import('../../operations/sets/wanted.ts');
  return wantedSet(await readUnitFolder(paths, streams.cwd), textOption(options.set) ?? unnamed);
}

function setOptions({ options }: Call): SetOptions {
  return {
    adopt: options.adopt === true,
    prune: options.prune === true,
    pruneLimit: numberOption('--prune-limit', options.pruneLimit),
    retry: options.retry === true,
    limits: rolloutLimitsOf(options),
  };
}

/** Prints a plan in the format of `-o`. Failures that are expected are left out if its results follow. */
async function showPlan(
  { options, flags, streams }: Call,
  plan: SetPlan,
  resultsFollow = false,
): Promise<void> {
  const { planJson, planLines } = await import('../../output/sets/plan.ts');
  const { requestFailures } = await import('../../output/request-failures.ts');
  const { unreachableLines } = await import('../../output/report.ts');
  const { problems, expected, changes } = plan;
  const hasTexts = changes.some(({ text }) => text !== undefined);
  const diff = hasTexts ? (await import('../../output/difference.ts')).differenceLines : () => [];
  if (options.output === 'json') {
    await printJson(streams, planJson(plan));
  } else if (options.output === 'markdown') {
    const { planMarkdown } = await import('../../output/sets/markdown.ts');
    streams.out(planMarkdown(plan, diff));
  } else if (problems.length === 0) {
    const lines = planLines(plan, { full: flags.verbose === true, diff });
    writeLines(streams.out, hasColours(streams) ? lines : lines.map(plain));
  }
  writeLines(streams.err, [
    ...unreachableLines(expected.unreachable),
    ...(resultsFollow
      ? []
      : requestFailures('apply', { ...expected, problems: [...problems, ...expected.problems] }, true)),
  ]);
}

async function report(call: Call, applied: Applied): Promise<ExitStatus> {
  const { streams } = call;
  const { plan, kind } = applied;
  switch (kind) {
    case 'unchanged':
    case 'refused':
      await showPlan(call, plan);
      return kind === 'refused' ? planStatus(plan) : requestStatus(plan.expected);
    case 'declined':
      printInfo(streams, ['Nothing was changed']);
      return EXIT.failed;
    case 'stale': {
      const { staleLines } = await import('../../output/sets/plan.ts');
      writeLines(streams.err, staleLines(String(call.options.plan), applied, Date.now()));
      await showPlan(call, plan);
      return EXIT.failed;
    }
    case 'applied':
      return reportApplied(call, applied);
  }
}

async function reportApplied(
  call: Call,
  { plan, result }: Extract<Applied, { readonly kind: 'applied' }>,
): Promise<ExitStatus> {
  const { appliedReport, planJson } = await import('../../output/sets/plan.ts');
  const { requestJson } = await import('../../output/request-json.ts');
  if (plan.changes.length === 0 && call.options.output !== 'json') await showPlan(call, plan, true);
  const json = (): object => ({ ...planJson(plan), applied: requestJson(result, false) });
  await printAnswer(call, appliedReport(plan, result), json, true);
  return requestStatus(result);
}
