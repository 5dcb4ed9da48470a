import type { DesiredUnit } from '../cluster/snapshot.ts';
import { readInstall } from '../unit/install.ts';
import { parseUnitFile } from '../unit/unit-file.ts';
import { parseUnitName } from '../unit/unit-name.ts';

/**
 * The links that a machine shall have to a unit, below the folder of unit files. A launched unit has those of its
 * `[Install]` section, aliases first, and last the one that starts it at boot. A fenced unit has only its aliases,
 * because only a controller starts it; so has one whose text failed there (`hasFailed`), because nothing shall start it.
 * Other units have none.
 */
export function linksOf(
  { name, text, target, placement }: DesiredUnit,
  hasFailed: boolean | undefined,
): readonly string[] {
  if (target !== 'launched') return [];
  if (hasFailed || placement.fence !== undefined) return installLinks(name, text).filter(isAlias);
  return [...installLinks(name, text), `fleet.target.wants/${name}`];
}

/** Whether a link is an alias, whose name must be free on the machine. */
export function isAlias(link: string): boolean {
  return !link.includes('/');
}

function installLinks(name: string, text: string): readonly string[] {
  if (!text.includes('[Install]')) return [];
  const { aliases, links } = readInstall(parseUnitFile(text), parseUnitName(name));
  return [...aliases, ...links];
}

/**
 * The drop-in that ties a fenced unit to the lease of its machine: systemd starts it only while the lease is active
 * (Requisite=), and stops it with the lease (PartOf=), before the lease is inactive (After=). Its name sorts last, so it
 * overrides other drop-ins. Undefined for other units.
 *
 * The assertion is for the time between a boot and the first lease, when fleet-lease.service does not exist. systemd then
 * ignores Requisite= of a unit that is started by Wants=.
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
