import type { FleetError } from '../base/errors.ts';
import { formatMachineId } from '../machine/machine.ts';
import { type CheckResult, type Finding, hasInodes, OLDEST_SYSTEMD } from '../operations/checks.ts';
import { isHealthy, type MachineHealth } from '../operations/doctor.ts';
import { moveAway } from './failure.ts';
import { packagesOf } from './format.ts';
import { machineJson } from './json.ts';
import { hintLines } from './report.ts';
import { renderTable } from './table.ts';

type Row = {
  readonly machine: string;
  readonly check: string;
  readonly status: string;
  readonly detail: string;
};

const COLUMNS = (['machine', 'check', 'status', 'detail'] as const).map((field) => ({
  field,
  value: (row: Row) => row[field],
}));

export type DoctorView = {
  /** Every check, also those that succeeded or were skipped. */
  readonly all: boolean;
  /** The names of all machines, so that rows that are printed one by one are aligned. */
  readonly names: readonly string[];
};

/** The title line. */
export function doctorTitles(view: DoctorView): Promise<string> {
  return renderTable(COLUMNS, [], { legend: true, full: false, widths: widthsOf(view) });
}

/** The failed checks of one machine with their fixes, and the rest in one row. */
export async function doctorLines(health: MachineHealth, view: DoctorView): Promise<string> {
  const { machine, checks } = health;
  const shown = view.all ? checks : checks.filter(({ status }) => status === 'failed');
  const texts = await Promise.all(
    shown.map(async (result) => {
      const row = {
        machine: machine.name,
        check: result.check,
        status: result.status,
        detail: detailOf(result),
      };
      const fix = fixOf(result);
      return `${await table([row], view)}${fix === undefined ? '' : `  fix: ${fix}\n`}`;
    }),
  );
  if (view.all) return texts.join('');
  const rest = isHealthy(health)
    ? { check: 'all', status: 'ok', detail: summary(checks) }
    : { check: 'rest', status: skippedOf(checks) > 0 ? 'skipped' : 'ok', detail: restOf(checks) };
  return `${texts.join('')}${await table([{ machine: machine.name, ...rest }], view)}`;
}

/** For a registry that cannot be read. */
export function withoutRegistryLines({ message, hint }: FleetError): readonly string[] {
  const warning = 'Warning: the registry cannot be read, so only the machines of fleet.conf are checked';
  return [`${warning}: ${message}`, ...hintLines(hint)];
}

/** `{ "machines": […] }`, see src/manual/json.md for every field. */
export function doctorJson(machines: readonly MachineHealth[]): object {
  const rows = machines.map((health) => ({
    ...machineJson(health.machine),
    healthy: isHealthy(health),
    checks: health.checks.map((result) => ({
      check: result.check,
      status: result.status,
      detail: detailOf(result) || null,
      fix: fixOf(result) ?? null,
    })),
  }));
  return { machines: rows };
}

function table(rows: readonly Row[], view: DoctorView): Promise<string> {
  return renderTable(COLUMNS, rows, { legend: false, full: false, widths: widthsOf(view) });
}

/** The widths of the longest check and status are known in advance. */
function widthsOf({ names }: DoctorView): readonly number[] {
  return [Math.max(7, ...names.map((name) => name.length)), 10, 7, 0];
}

/** The most important details of a healthy machine. */
function summary(checks: readonly CheckResult[]): string {
  const details = checks.filter(({ check }) => check === 'login' || check === 'systemd').map(detailOf);
  return [`${checks.length} checks`, ...details].filter(Boolean).join(', ');
}

function restOf(checks: readonly CheckResult[]): string {
  const skipped = skippedOf(checks);
  const well = checks.filter(({ status }) => status === 'ok').length;
  return `${well} ok${skipped === 0 ? '' : `, ${skipped} not possible until that is fixed`}`;
}

function skippedOf(checks: readonly CheckResult[]): number {
  return checks.filter(({ status }) => status === 'skipped').length;
}

const ALTERED = {
  damaged: 'its record is damaged',
  altered: 'its file was changed there',
  'drop-in': 'a drop-in changes it',
} as const;

function detailOf({ status, finding }: CheckResult): string {
  switch (finding.code) {
    case 'well':
      return '';
    case 'error':
      return finding.message;
    case 'address':
      return finding.address;
    case 'credential':
      return `${finding.user} with ${finding.credential}`;
    case 'uid':
      return status === 'ok' ? '' : `its shell runs with user id ${finding.uid}`;
    case 'systemd':
      return `systemd ${finding.version}, ${finding.state || 'in no known state'}`;
    case 'no-systemd':
      return 'systemctl does not answer';
    case 'not-writable':
      return finding.folders.map(({ folder, obstacle }) => `${folder}: ${obstacle}`).join('; ');
    case 'absent':
      return `missing: ${finding.tools.join(', ')}`;
    case 'broken':
      return `installed, but not working: ${finding.tools.join(', ')}`;
    case 'no-id':
      return finding.text === '' ? 'it has no machine id' : `not a machine id: ${finding.text}`;
    case 'same-id':
      return `machine "${finding.other}" has the same id: ${formatMachineId(finding.id)}`;
    case 'other-id':
      return `it has ${formatMachineId(finding.id)}, and the registry has ${formatMachineId(finding.known)} for it`;
    case 'cluster':
      return finding.cluster ?? 'none yet';
    case 'clock':
      return offsetText(finding.offsetSeconds);
    case 'space':
      return `${sizeText(finding.least.kib)} and ${finding.least.inodes ?? 'enough'} inodes free in ${finding.least.folder}`;
    case 'journal':
      return finding.said;
    case 'containers':
      return status === 'ok' ? finding.tools.join(', ') : `units need ${finding.tools.join(' and ')}`;
    case 'occupied':
      return finding.occupied.join('; ');
    case 'altered':
      return finding.altered.map(({ unit, what }) => `${unit}: ${ALTERED[what]}`).join('; ');
    case 'units':
      return finding.unknown.map(({ unit, why }) => `${unit}: ${why}`).join('; ');
  }
}

function offsetText(seconds: number): string {
  if (seconds === 0) return 'no offset';
  return `${Math.abs(seconds)}s ${seconds > 0 ? 'ahead' : 'behind'}`;
}

function sizeText(kib: number): string {
  if (kib < 10_240) return `${kib} KiB`;
  return kib < 10_485_760 ? `${Math.floor(kib / 1024)} MiB` : `${Math.floor(kib / 1_048_576)} GiB`;
}

/** The remedy of a failed check. */
function fixOf({ status, finding }: CheckResult): string | undefined {
  if (status !== 'failed') return undefined;
  return finding.code === 'error' ? finding.hint : FIXES[finding.code]?.(finding as never);
}

type Fixes = {
  readonly [Code in Finding['code']]?: (finding: Extract<Finding, { code: Code }>) => string;
};

const FIXES: Fixes = {
  uid: () => 'set become = sudo, become = doas or user = root in fleet.conf',
  systemd: ({ version, state }) =>
    version < OLDEST_SYSTEMD
      ? `upgrade the machine: systemd before ${OLDEST_SYSTEMD} does not count restarts, so "start" cannot verify that a unit stays up`
      : `boot the machine with systemd as its init: it is ${state}`,
  'no-systemd': () => 'systemctl --version there must work: the machine needs systemd',
  'not-writable': ({ folders }) => {
    const [{ folder, obstacle } = { folder: '/', obstacle: '' }] = folders;
    if (/space|quota/i.test(obstacle ?? '')) return 'df -h there shows the full file system';
    if (/not permitted/.test(obstacle ?? ''))
      return `run "chattr -i ${folder}" there, if "lsattr -d ${folder}" shows that it is immutable`;
    return `mount -o remount,rw "$(findmnt -nro TARGET -T ${folder})" there; dmesg shows why it was read-only`;
  },
  absent: ({ tools }) => `install ${packagesOf(tools)} there`,
  broken: ({ tools }) => `run ${tools[0] ?? 'it'} there by hand; install ${packagesOf(tools)} again`,
  'no-id': () => 'run "rm -f /etc/machine-id && systemd-machine-id-setup" there, and restart it',
  'same-id': () =>
    'if they are one machine, remove one section from fleet.conf; if one is a copy of the other, run "rm /etc/machine-id && systemd-machine-id-setup" on it and restart it',
  'other-id': () => 'if it was reinstalled or replaced: fleetctl machines accept, with its name',
  cluster: () =>
    'if that cluster is yours and its registry was lost: fleetctl help recover; if it is gone: rm /var/lib/fleet/cluster there',
  clock: () => 'timedatectl set-ntp true there',
  space: ({ least }) =>
    hasInodes(least)
      ? `make room in ${least.folder} there, such as with journalctl --vacuum-size=100M`
      : `remove files in ${least.folder} there: df -i shows how many inodes are left`,
  journal: () => 'systemctl restart systemd-journald there',
  occupied: ({ occupied: [first = ''] }) =>
    `run "${moveAway(first) ?? 'ls -la /var/lib/fleet/units'}" there, and then: fleetctl reconcile`,
  altered: ({ altered }) =>
    altered.every(({ what }) => what === 'drop-in')
      ? `systemctl cat ${altered.map(({ unit }) => unit).join(' ')} there shows them; put them into the text of the unit, and remove them`
      : 'to see the changes of a pass: fleetctl reconcile --dry-run',
  units: ({ unknown }) =>
    `systemctl show ${unknown.map(({ unit }) => unit).join(' ')} there must work: it cannot show text that is not UTF-8, such as "\\xfc" in ExecStart=`,
  containers: ({ tools }) => `install ${tools.join(' and ')} there`,
};
