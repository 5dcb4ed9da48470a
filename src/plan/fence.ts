import type { DesiredUnit } from '../cluster/snapshot.ts';

/**
 * The drop-in that ties a fenced unit to the lease of its machine: systemd starts it only while the lease is there
 * (Requisite=), and stops it with the lease (PartOf=), before the lease counts as gone (After=). It says what
 * fleet counts on, whatever other drop-ins say: its name puts it last. Undefined for other units.
 *
 * After a boot there is no fleet-lease.service before the first lease, and Requisite= does not hold then: systemd leaves
 * out what a unit that is only wanted (Wants=) cannot have, and starts it. Hence the assertion.
 */
export function fenceText({ placement }: Pick<DesiredUnit, 'placement'>): string | undefined {
  if (placement.fence === undefined) return undefined;
  return [
    '# By fleet, for Fenced=true: this unit runs only under the lease of the machine.',
    '[Unit]',
    'Requisite=fleet-lease.service',
    'After=fleet-lease.service',
    'PartOf=fleet-lease.service',
    'AssertPathExists=/run/fleet/lease',
    '[Service]',
    `TimeoutStopSec=${placement.fence.timeoutMs}ms`,
    'TimeoutStopFailureMode=terminate',
    'SendSIGKILL=yes',
    '',
  ].join('\n');
}
