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
