import { hashUnitFile, parseUnitFile } from '../../src/unit/unit-file.ts';
import { pick } from '../support/random.ts';

/** Where each unit writes down that it started, and that it stopped: on the disk of its machine, which outlives a power loss. */
export const DIARY = '/var/log/soak';

/** How long a fenced unit may take to stop, in ms. */
export const STOP_MS = 1000;

/** Where a fenced unit notes every 50 ms that it runs, by the clock that all machines share; beside the diary. */
export function pulseOf(unit: string): string {
  return `/var/log/soak-${unit}`;
}

/**
 * Names of units: most are plain or instances of a template; a few are global, a few keep apart from each other, and a
 * tenth is fenced, of which every other one is deaf to SIGTERM.
 */
export function unitNames(count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => {
    if (i % 40 === 0) return `everywhere-${i}.service`;
    if (i % 25 === 2) return `apart-${i}.service`;
    if (i % 10 === 4) return i % 20 === 4 ? `fenced-${i}.service` : `deaf-${i}.service`;
    return i % 5 < 3 ? `plain-${i}.service` : `made@${i}.service`;
  });
}

export function isGlobal(unit: string): boolean {
  return unit.startsWith('everywhere-');
}

export function isFenced(unit: string): boolean {
  return /^(fenced|deaf)-/.test(unit);
}

/** The file that a unit is started from. */
export function fileOf(unit: string): string {
  return unit.replace(/@.*\./, '@.');
}

/** The text of a unit's file; another `version` is another text. */
export function textOf(unit: string, version: number): string {
  const note = (what: string): string =>
    `/bin/sh -c 'echo "$$(date +%%s.%%3N) ${what} %n ${version}" >>${DIARY}`;
  const life = isFenced(unit)
    ? `ExecStartPre=${note('start')}'\nExecStart=${pulse(unit)}\nTimeoutStopSec=${STOP_MS}ms`
    : `ExecStart=${note('start')}; exec sleep 100000'`;
  return [
    `[Unit]\nDescription=${version}`,
    `[Service]\n${life}\nExecStopPost=${note('stop')}'`,
    `[X-Fleet]\n${placementOf(unit)}\n`,
  ].join('\n');
}

/** fleet's hash of that text. */
export function hashOf(unit: string, version: number): string {
  return hashUnitFile(parseUnitFile(textOf(unit, version)));
}

/**
 * Notes that it begins, when it runs, when the lease ends each time that this changes, and that it is told to stop. Starts
 * no process: read(1) of bash waits on a pipe to which nobody writes.
 */
function pulse(unit: string): string {
  const lease = 'if [ "$$new" != "$$end" ]; then end=$$new; echo "lease $$end"; fi';
  const beat = `read -r boot new </run/fleet/lease; read -r up rest </proc/uptime; echo "$$up"; ${lease}`;
  const onTerm = `beat; echo term${unit.startsWith('deaf-') ? '' : '; exit'}`;
  const loop = `trap on_term TERM; echo begin; while :; do beat; read -t 0.05 <&3; done`;
  const words = `beat() { ${beat}; }; on_term() { ${onTerm}; }`;
  return `/bin/bash -c 'exec 3<> <(:) >>${pulseOf(unit)}; ${words}; ${loop}'`;
}

function placementOf(unit: string): string {
  if (isGlobal(unit)) return 'Global=true';
  if (isFenced(unit)) return 'Fenced=true';
  if (unit.startsWith('apart-')) return 'Conflicts=apart-*.service';
  return /^plain-\d*1\.service$/.test(unit) ? 'MachineMetadata=half=first' : '';
}

/** One to `most` of `units`. */
export function some(random: () => number, units: readonly string[], most: number): readonly string[] {
  return [...new Set(Array.from({ length: 1 + Math.floor(random() * most) }, () => pick(random, units)))];
}
