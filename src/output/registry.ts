import { compareText } from '../base/text.ts';
import { formatTime } from '../base/time.ts';
import type { RecoverResult } from '../operations/recover.ts';
import type { LostMajority, RebuiltVoters } from '../operations/recover-voters.ts';
import type { Discrepancy, Doubt, RecoveredText, RecoveredUnit } from '../operations/recovered-units.ts';
import type { RegisterStatus, VoterStatus } from '../quorum/status.ts';
import { formerText } from './events.ts';
import { rowsJson } from './field.ts';
import { machineLabel, machineTitle } from './format.ts';
import { machineJson, unreachableJson } from './json.ts';
import { VOTERS } from './listings.ts';
import { type ReportLines, unreachableLines } from './report.ts';

/** The location of a registry as in fleet.conf, its revision, and its voters if it is on the machines. */
export type RegistryStatus = RegisterStatus & { readonly place: string };

export function registryLine({ place, revision, withoutMajority }: RegistryStatus): string {
  if (withoutMajority !== undefined)
    return `Registry ${place}: without a majority of its voters; the newest revision that was found is ${revision}`;
  return revision === 0 ? `Registry ${place}: empty` : `Registry ${place}: revision ${revision}`;
}

export function registryJson({ place, revision, voters, withoutMajority }: RegistryStatus): object {
  return {
    registry: place,
    revision,
    voters: rowsJson(VOTERS.fields, voters),
    ...(withoutMajority && { withoutMajority: withoutMajority.message }),
  };
}

/** Why voters are unreachable or do not count, and which machines have changes that a recovery did not find. */
export function voterWarnings({ voters, withoutMajority }: RegistryStatus): readonly string[] {
  const lost = voters.some(({ state }) => state === 'lost') && withoutMajority === undefined;
  const advice = lost
    ? ['hint: Voters without their copy get one with the next pass: fleetctl reconcile']
    : [];
  return [...voters.flatMap(warningsAbout), ...advice];
}

function warningsAbout(voter: VoterStatus): readonly string[] {
  const { error, state, isContained } = voter;
  if (state === 'former') return isContained === true ? [] : [`Warning: ${formerText(voter)}`];
  return error === undefined ? [] : [`Warning: ${error.message}`];
}

/** The units that were found on the machines, and the discrepancies between machines. */
export function recoverReport(result: RecoverResult, dryRun: boolean): ReportLines {
  if (result.kind === 'unreachable') {
    return { out: [], err: [...unreachableLines(result.unreachable), ...ALL_MUST_ANSWER] };
  }
  if (result.kind === 'decided') return decidedReport(result, dryRun);
  const { units, discrepancies, clusterId } = result;
  const verb = dryRun ? 'Would recover' : 'Recovered';
  const withText = units.filter(({ stored }) => stored.text !== undefined);
  return {
    out: [...units.flatMap((unit) => unitLines(verb, unit)), `${verb} cluster ${clusterId}`],
    err: [
      ...discrepancies.map(discrepancyLine),
      ...(withText.length === units.length ? [] : [WITHOUT_TEXT]),
      ...unconfirmedLines(withText.flatMap(({ stored: { unconfirmed } }) => unconfirmed?.machine ?? [])),
      ...(dryRun ? [] : AFTERWARDS),
    ],
  };
}

function decidedReport(
  { accepted, rejected, open }: Extract<RecoverResult, { kind: 'decided' }>,
  dryRun: boolean,
): ReportLines {
  const [accept, reject] = dryRun ? ['Would accept', 'Would reject'] : ['Accepted', 'Rejected'];
  return {
    out: [
      ...accepted.map((unit) => `${accept} unit ${unit}`),
      ...rejected.map((unit) => `${reject} unit ${unit}`),
    ],
    err: open.length === 0 ? [] : [`Warning: these units are still unconfirmed: ${open.join(' ')}`],
  };
}

/** Units that no second machine confirms; `machines` has the name of one for each unit. */
function unconfirmedLines(machines: readonly string[]): readonly string[] {
  if (machines.length === 0) return [];
  const counts = [...new Set(machines)]
    .sort(compareText)
    .map((name) => `${machines.filter((each) => each === name).length} from "${name}"`);
  return [
    `Warning: units that no second machine confirms are stored as inactive and left unchanged: ${counts.join(', ')}`,
    'hint: To see one: fleetctl cat UNIT; to accept it: fleetctl recover --accept UNIT; to accept all of a trusted machine: fleetctl recover --trust MACHINE; to reject one: fleetctl recover --reject UNIT',
  ];
}

const ALL_MUST_ANSWER = [
  'Error: Cannot recover the registry: all machines have to answer, because the registry would lack the units of the others',
  'hint: Try again when they answer; if a machine is permanently gone, remove it from fleet.conf first',
];

const WITHOUT_TEXT =
  'hint: Units without a text are left unchanged. To store the text of one again, so that a pass restarts it on its machine: fleetctl submit UNIT; to give one up, so that a pass stops and removes it: fleetctl recover --reject UNIT';

const AFTERWARDS = [
  'hint: Templates, and units that were on no machine, have to be submitted again; to see differences: fleetctl reconcile --dry-run',
];

function unitLines(
  verb: string,
  { stored, target, machines, texts, doubt }: RecoveredUnit,
): readonly string[] {
  const [machine] = machines;
  const where =
    stored.machine === undefined || machine === undefined
      ? `${machines.length} ${machines.length === 1 ? 'machine' : 'machines'}`
      : machineLabel(machine);
  const line = `${verb} unit ${stored.name}: ${target} on ${where}`;
  const all = texts.length < 2 ? [] : texts.map(textLine);
  return doubt === undefined
    ? [line, ...all]
    : [`${line}, unconfirmed: ${DOUBTS[doubt]} ("${stored.unconfirmed?.machine}")`, ...all];
}

const DOUBTS: Readonly<Record<Doubt, string>> = {
  alone: 'one machine has it',
  newer: 'one machine has the latest decision',
  'not-everywhere': 'it is global, and not on every machine',
  unusable: 'its text cannot be read',
};

function textLine({ digest, target, machines }: RecoveredText): string {
  return `  text ${digest.slice(0, 7)}, ${target}: ${machines.map(machineTitle).join(', ')}`;
}

function discrepancyLine({ kind, unit, machine }: Discrepancy): string {
  const where = `machine ${machineTitle(machine)}`;
  switch (kind) {
    case 'elsewhere':
      return `Warning: unit "${unit}" is also on ${where}, by an older decision`;
    case 'other-text':
      return `Warning: unit "${unit}" has another text on ${where}, by an older decision`;
    case 'edited':
      return `Warning: the file of unit "${unit}" was edited or removed on ${where}`;
    case 'no-file':
      return `Error: Cannot recover the text of unit "${unit}": it has no readable file on ${where}`;
  }
}

/** `cluster` is null if nothing was stored because of the machines in `unreachable`. */
export function recoverJson(result: RecoverResult, dryRun: boolean): object {
  if (result.kind === 'unreachable') {
    const unreachable = unreachableJson(result.unreachable);
    return { dryRun, cluster: null, units: [], discrepancies: [], unreachable };
  }
  if (result.kind === 'decided') {
    const { accepted, rejected, open } = result;
    return { dryRun, accepted, rejected, unconfirmed: open };
  }
  const { clusterId, units, discrepancies } = result;
  return {
    dryRun,
    cluster: clusterId,
    units: units.map(({ stored, target, machines, texts, doubt }) => ({
      unit: stored.name,
      desiredState: target,
      machines: machines.map(machineJson),
      texts: texts.map((text) => ({
        digest: text.digest,
        text: text.text,
        desiredState: text.target,
        machines: text.machines.map(machineJson),
      })),
      unconfirmed: doubt ?? null,
    })),
    discrepancies: discrepancies.map(({ kind, unit, machine }) => ({
      kind,
      unit,
      machine: machineJson(machine),
    })),
    unreachable: [],
  };
}

/** What is left without a majority of the voters, and what may be missing. */
export function lostMajorityLines({
  revision,
  at,
  holders,
  missing,
  outdated,
  ahead,
  unknown,
  undone,
}: LostMajority): readonly string[] {
  const time = at === undefined ? '' : `; its last event was at ${formatTime(at)}`;
  return [
    ...(missing.length > 0 ? [`These voters cannot be read: ${missing.join(', ')}`] : []),
    ...(outdated.length > 0
      ? [`The registry of these voters is a copy, or older than before: ${outdated.join(', ')}`]
      : []),
    `The newest revision that is left is ${revision}, on ${holders.join(', ')}${time}`,
    ...ahead.map(
      (each) =>
        `Machine "${each.machine}" has obeyed later decisions, up to revision ${each.revision}${each.units.length > 0 ? `: ${each.units.join(' ')}` : ''}`,
    ),
    ...(unknown.length === 0
      ? []
      : [
          `The registry lacks these units, which are taken from their machines: ${unknown.map(({ name }) => name).join(' ')}`,
        ]),
    ...(undone.length === 0
      ? []
      : [`The next pass undoes the later decisions about these units: ${undone.join(' ')}`]),
    ...(ahead.length === 0 ? ['No machine that answers shows a later decision'] : []),
    `Later changes that ${missing.length > 0 ? 'only the missing voters have' : 'no machine has any more'} are lost, such as submitted unit files`,
  ];
}

/** The result of a recovery, and what it takes to have all voters. */
export function rebuiltReport(
  { missing, outdated, unknown }: LostMajority,
  { voters, wanted }: RebuiltVoters,
): ReportLines {
  const open = unknown.flatMap(({ unconfirmed }) => unconfirmed?.machine ?? []);
  const more = `hint: The registry has ${voters.length} of ${wanted} voters. Other machines become voters when they answer: fleetctl reconcile`;
  return {
    out: [
      missing.length > 0
        ? `Rebuilt the registry without ${missing.join(', ')}`
        : `Rebuilt the registry from the state of ${outdated.join(', ')}`,
      `Voters: ${voters.join(', ')}`,
    ],
    err: [
      ...unconfirmedLines(open),
      ...(voters.length < wanted ? [more] : []),
      'hint: To see differences: fleetctl reconcile --dry-run',
    ],
  };
}

/** `rebuilt` is undefined for a dry run. */
export function lostMajorityJson(
  { revision, at, holders, missing, outdated, ahead, unknown, undone }: LostMajority,
  rebuilt: RebuiltVoters | undefined,
): object {
  return {
    rebuilt: rebuilt !== undefined,
    revision,
    lastEvent: at === undefined ? null : formatTime(at),
    holders,
    missing,
    outdated,
    ahead,
    unknown: unknown.map(({ name }) => name),
    undone,
    voters: rebuilt?.voters ?? null,
  };
}
