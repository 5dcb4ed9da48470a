import { formatTime } from '../base/time.ts';
import { formatMetadata } from '../machine/machine.ts';
import type { MachineRow } from '../operations/list-machines.ts';
import type { UnitFileRow } from '../operations/list-unit-files.ts';
import type { UnitRow } from '../operations/list-units.ts';
import type { History, HistoryRow } from '../operations/unit-texts.ts';
import type { VoterStatus } from '../quorum/status.ts';
import {
  bytes,
  cpuTime,
  hash,
  type ListingView,
  machine,
  machineId,
  number,
  rowsJson,
  seconds,
  text,
  time,
} from './field.ts';
import { formatBytes, machineLabel } from './format.ts';
import { heldText } from './reason.ts';
import type { TableOptions } from './table.ts';

export const UNITS: ListingView<UnitRow> = {
  key: 'units',
  defaults: ['unit', 'machine', 'active', 'sub'],
  fields: [
    text('unit', (row) => row.unit),
    machine('machine', (row) => row.machine),
    text('load', ({ state }) => state.load),
    text('active', ({ state }) => state.active),
    text('sub', ({ state }) => state.sub),
    hash('hash', (row) => row.hash || undefined),
    time('since', ({ state }) => state.since, { meaning: 'the time of the last change of state' }),
    number('restarts', ({ state }) => state.restarts, {
      meaning: 'the number of automatic restarts by systemd',
    }),
    bytes('memory', ({ state }) => state.memoryBytes, {
      json: 'memoryBytes',
      meaning: 'the memory in use, if systemd counts it',
      isMeasure: true,
    }),
    cpuTime('cpu', ({ state }) => state.cpuNs, {
      json: 'cpuNs',
      meaning: 'the CPU time of the last run, if systemd counts it',
      isMeasure: true,
    }),
    text('result', (row) => row.result, { meaning: 'the result of the last run' }),
    time('last', (row) => row.lastRun, {
      json: 'lastRun',
      meaning: 'the time when the last run ended, or began if it has not ended',
    }),
    time('next', (row) => row.nextRun, {
      json: 'nextRun',
      meaning: 'the time when the timer of the unit elapses next',
      isMeasure: true,
    }),
  ],
};

export const UNIT_FILES: ListingView<UnitFileRow> = {
  key: 'unitFiles',
  defaults: ['unit', 'hash', 'dstate', 'state', 'tmachine'],
  fields: [
    text('unit', (row) => row.unit),
    hash('hash', (row) => row.hash),
    text('dstate', (row) => row.target, { json: 'desiredState', meaning: 'the target state' }),
    {
      field: 'state',
      value: ({ state, drift }) => (state === 'unknown' ? state : (drift ?? state)),
      json: { state: (row) => row.state, drift: (row) => row.drift ?? null },
      meaning: 'the state that the unit has reached, or how it differs from the registry',
    },
    {
      ...machine('machine', (row) => row.machine),
      field: 'tmachine',
      value: targetMachine,
      meaning:
        'the assigned machine, or for a global unit how many of the machines that fit have reached its target state',
    },
    { field: 'target', value: targetMachine, json: {}, meaning: 'the name of tmachine in CoreOS fleet' },
    {
      field: 'global',
      value: ({ global }) => String(global),
      json: { global: (row) => row.global, coverage: (row) => row.coverage ?? null },
    },
    {
      field: 'rollout',
      value: rolloutText,
      json: {
        rollout: ({ rollout }) => rollout ?? null,
        held: ({ hash, held }) => (held === undefined ? null : heldText({ hash, held })),
      },
      meaning: 'how many copies have the new text during a rollout, and why the text is held',
    },
    text('desc', (row) => row.description, { json: 'description' }),
    {
      field: 'set',
      value: (row) => row.set ?? '',
      json: { set: (row) => row.set ?? null },
      meaning: 'the set of the folder that it was applied with',
    },
  ],
};

/** `2 of 3 on 5d7d29e`, `held: text 5d7d29e failed on m4: exit status 203` */
function rolloutText({ rollout, held, hash }: UnitFileRow): string {
  const progress = rollout && `${rollout.updated} of ${rollout.copies} on ${hash.slice(0, 7)}`;
  return [progress, held && `held: ${heldText({ hash, held })}`]
    .filter((part) => part !== undefined)
    .join('; ');
}

function targetMachine({ coverage, machine }: UnitFileRow, { full }: TableOptions): string {
  if (coverage !== undefined) return `${coverage.reached} of ${coverage.eligible}`;
  return machine === undefined ? '' : machineLabel(machine, full);
}

export const MACHINES: ListingView<MachineRow> = {
  key: 'machines',
  defaults: ['machine', 'ip', 'metadata'],
  fields: [
    machineId('machine', (row) => row.id, {
      json: 'id',
      meaning: 'the machine id, or "-" for a machine that has never answered',
    }),
    text('name', (row) => row.name),
    text('ip', (row) => row.address),
    {
      field: 'metadata',
      value: (row) => formatMetadata(row.metadata),
      json: { metadata: (row) => row.metadata },
    },
    text('state', (row) => row.state),
    text('cordon', (row) => row.cordon, {
      meaning:
        '"standard" if the machine gets no new standard units, "all" if it keeps no global units either',
    }),
    number('units', (row) => row.units, { meaning: 'the number of units that fleet installed there' }),
    {
      field: 'systemd',
      value: ({ vitals }) => vitals?.systemd ?? '',
      json: { systemd: ({ vitals }) => (vitals?.systemd === undefined ? null : Number(vitals.systemd)) },
    },
    {
      field: 'load',
      // As in uptime(1).
      value: ({ vitals }) => vitals?.loadAverage?.map((average) => average.toFixed(2)).join(' ') ?? '',
      json: { loadAverage: ({ vitals }) => vitals?.loadAverage ?? null },
      meaning: 'the load average of the last 1, 5 and 15 minutes',
      isMeasure: true,
    },
    {
      field: 'memory',
      value: usedMemory,
      json: {
        memoryTotalBytes: ({ vitals }) => vitals?.memory?.totalBytes ?? null,
        memoryAvailableBytes: ({ vitals }) => vitals?.memory?.availableBytes ?? null,
      },
      meaning: 'used and total memory',
      isMeasure: true,
    },
    seconds('uptime', (row) => row.uptimeSeconds, { json: 'uptimeSeconds', isMeasure: true }),
    time('lastseen', (row) => row.lastSeen, {
      json: 'lastSeen',
      meaning: 'the present time, or for an unreachable machine the time when that was first observed',
      isMeasure: true,
    }),
  ],
};

/** Used of total: `1.2G/3.8G`. */
function usedMemory({ vitals }: MachineRow): string {
  if (vitals?.memory === undefined) return '';
  const { totalBytes, availableBytes } = vitals.memory;
  return `${formatBytes(totalBytes - availableBytes)}/${formatBytes(totalBytes)}`;
}

export const HISTORY: ListingView<HistoryRow> = {
  key: 'history',
  defaults: ['hash', 'time', 'who', 'current', 'result'],
  fields: [
    hash('hash', (row) => row.hash),
    text('time', (row) => formatTime(row.at), { meaning: 'the time of the change' }),
    text('who', (row) => row.by, { json: 'by', meaning: 'the author of the change' }),
    {
      field: 'current',
      value: ({ current }) => (current ? 'yes' : ''),
      json: { current: (row) => row.current },
      meaning: '"yes" for the version that the registry has now',
    },
    {
      field: 'result',
      value: resultOf,
      json: {
        result: resultOf,
        resultTime: ({ verdict }) => (verdict === undefined ? null : formatTime(verdict.at)),
      },
      meaning: 'the result of the last start with this version: good, failed or untried',
    },
    text('digest', (row) => row.digest, { meaning: 'the SHA-256 of the file' }),
  ],
};

/** `untried`: no start with this text is known. */
export function resultOf({ verdict }: Pick<HistoryRow, 'verdict'>): string {
  return verdict?.kind ?? 'untried';
}

/** `{ "unit": …, "history": […] }`, newest first. */
export function historyJson({ unit, rows }: History): object {
  return { unit, [HISTORY.key]: rowsJson(HISTORY.fields, rows) };
}

export const VOTERS: ListingView<VoterStatus> = {
  key: 'voters',
  defaults: ['voter', 'state', 'revision'],
  fields: [
    text('voter', (row) => row.machine),
    text('state', (row) => row.state, {
      meaning:
        '"current", "behind" (it gets the rest with the next change), "lost" (its machine has stored something else, a copy, or less than before, so it does not count until it has a new copy), "unreachable", or "former" (no voter, with a registry from before a recovery)',
    }),
    number('revision', (row) => row.revision),
  ],
};
