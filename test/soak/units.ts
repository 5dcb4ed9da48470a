import { pick } from '../support/random.ts';

/** Where each unit writes down that it started, and that it stopped: on the disk of its machine, which outlives a power loss. */
export const DIARY = '/var/log/soak';

/** Names of units: most are plain or instances of a template; a few are global, and a few keep apart from each other. */
export function unitNames(count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => {
    if (i % 40 === 0) return `everywhere-${i}.service`;
    if (i % 25 === 2) return `apart-${i}.service`;
    return i % 5 < 3 ? `plain-${i}.service` : `made@${i}.service`;
  });
}

export function isGlobal(unit: string): boolean {
  return unit.startsWith('everywhere-');
}

/** The file that a unit is started from. */
export function fileOf(unit: string): string {
  return unit.replace(/@.*\./, '@.');
}

/** The text of a unit's file; another `version` is another text. */
export function textOf(unit: string, version: number): string {
  const note = (what: string): string =>
    `/bin/sh -c 'echo "$$(date +%%s.%%3N) ${what} %n ${version}" >>${DIARY}`;
  return [
    `[Unit]\nDescription=${version}`,
    `[Service]\nExecStart=${note('start')}; exec sleep 100000'\nExecStopPost=${note('stop')}'`,
    `[X-Fleet]\n${placementOf(unit)}\n`,
  ].join('\n');
}

function placementOf(unit: string): string {
  if (isGlobal(unit)) return 'Global=true';
  if (unit.startsWith('apart-')) return 'Conflicts=apart-*.service';
  return /^plain-\d*1\.service$/.test(unit) ? 'MachineMetadata=half=first' : '';
}

/** One to `most` of `units`. */
export function some(random: () => number, units: readonly string[], most: number): readonly string[] {
  return [...new Set(Array.from({ length: 1 + Math.floor(random() * most) }, () => pick(random, units)))];
}
