import { compareText } from '../base/text.ts';
import type { RecoverResult } from '../operations/recover.ts';
import type { Discrepancy, Doubt, RecoveredText, RecoveredUnit } from '../operations/recovered-units.ts';
import { machineLabel, machineTitle } from './format.ts';
import { machineJson, unreachableJson } from './json.ts';
import { type ReportLines, unreachableLines } from './report.ts';

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
export function unconfirmedLines(machines: readonly string[]): readonly string[] {
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
