import type { DesiredUnit } from '../cluster/snapshot.ts';
import { readInstall } from '../unit/install.ts';
import { parseUnitFile } from '../unit/unit-file.ts';
import { parseUnitName } from '../unit/unit-name.ts';

/**
 * The links to a unit that its machine shall have, below the folder of unit files: none unless it is launched; else
 * those of its `[Install]` section, other names first, and last the one that starts it at boot. Nothing but a
 * controller starts a fenced unit: it has its other names alone.
 */
export function linksOf({ name, text, target, placement }: DesiredUnit): readonly string[] {
  if (target !== 'launched') return [];
  if (placement.fence !== undefined) return installLinks(name, text).filter(isAlias);
  return [...installLinks(name, text), `fleet.target.wants/${name}`];
}

/** Whether a link is another name of the unit, which has to be free on the machine. */
export function isAlias(link: string): boolean {
  return !link.includes('/');
}

function installLinks(name: string, text: string): readonly string[] {
  if (!text.includes('[Install]')) return [];
  const { aliases, links } = readInstall(parseUnitFile(text), parseUnitName(name));
  return [...aliases, ...links];
}

/**
 * The drop-in that ties a fenced unit to the lease of its machine: systemd starts it only while the lease is there
 * (Requisite=), and stops it with the lease (PartOf=), before the lease counts as gone (After=). It says what
 * fleet counts on, whatever other drop-ins say: its name puts it last. Undefined for other units.
 *
 * After a boot there is no fleet-lease.service before the first lease, and Requisite= does not hold then: systemd leaves
 * out what a unit that is only wanted (Wants=) cannot have, and starts it. This is the reason for the assertion.
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
