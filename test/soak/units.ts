import { hashUnitFile, parseUnitFile } from '../../src/unit/unit-file.ts';
import { pick } from '../support/random.ts';

/** Units log their starts and stops in this file, on the disk of the machine, which survives a power loss. */
export const RUN_LOG = '/var/log/soak';

/** How long a fenced unit may take to stop, in ms. */
export const STOP_MS = 1000;

/** A fenced unit writes the time to this file every 50 ms, by the clock that all machines share. */
export function pulseFileOf(unit: string): string {
  return `/var/log/soak-${unit}`;
}

/**
 * Names of units. Most are plain or instances of a template, a few are global, a few conflict with each other, and a
 * tenth is fenced; half of the fenced ones ignore SIGTERM.
 */
export function unitNames(count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => {
    if (i % 40 === 0) return `global-${i}.service`;
    if (i % 25 === 2) return `conflict-${i}.service`;
    if (i % 10 === 4) return i % 20 === 4 ? `fenced-${i}.service` : `stubborn-${i}.service`;
    return i % 5 < 3 ? `plain-${i}.service` : `instance@${i}.service`;
  });
}

export function isGlobal(unit: string): boolean {
  return unit.startsWith('global-');
}

export function isFenced(unit: string): boolean {
  return /^(fenced|stubborn)-/.test(unit);
}

/** The file that a unit is started from. */
export function fileOf(unit: string): string {
  return unit.replace(/@.*\./, '@.');
}

/** The text of a unit file; each `version` has another text. */
export function textOf(unit: string, version: number): string {
  const log = (event: string): string =>
    `/bin/sh -c 'echo "$$(date +%%s.%%3N) ${event} %n ${version}" >>${RUN_LOG}`;
  const commands = isFenced(unit)
    ? `ExecStartPre=${log('start')}'\nExecStart=${pulse(unit)}\nTimeoutStopSec=${STOP_MS}ms`
    : `ExecStart=${log('start')}; exec sleep 100000'`;
  return [
    `[Unit]\nDescription=${version}`,
    `[Service]\n${commands}\nExecStopPost=${log('stop')}'`,
    `[X-Fleet]\n${placementOf(unit)}\n`,
  ].join('\n');
}

export function hashOf(unit: string, version: number): string {
  return hashUnitFile(parseUnitFile(textOf(unit, version)));
}

/**
 * Logs its start, the time while it runs, each new end of the lease, and SIGTERM. It starts no process: `read` of bash
 * waits on a pipe without a writer.
 */
function pulse(unit: string): string {
  const lease = 'if [ "$$new" != "$$end" ]; then end=$$new; echo "lease $$end"; fi';
  const beat = `read -r boot new </run/fleet/lease; read -r up rest </proc/uptime; echo "$$up"; ${lease}`;
  const onTerm = `beat; echo term${unit.startsWith('stubborn-') ? '' : '; exit'}`;
  const loop = `trap on_term TERM; echo begin; while :; do beat; read -t 0.05 <&3; done`;
  const words = `beat() { ${beat}; }; on_term() { ${onTerm}; }`;
  return `/bin/bash -c 'exec 3<> <(:) >>${pulseFileOf(unit)}; ${words}; ${loop}'`;
}

function placementOf(unit: string): string {
  if (isGlobal(unit)) return 'Global=true';
  if (isFenced(unit)) return 'Fenced=true';
  if (unit.startsWith('conflict-')) return 'Conflicts=conflict-*.service';
  return /^plain-\d*1\.service$/.test(unit) ? 'MachineMetadata=half=first' : '';
}

/** One to `most` of `units`. */
export function some(random: () => number, units: readonly string[], most: number): readonly string[] {
  return [...new Set(Array.from({ length: 1 + Math.floor(random() * most) }, () => pick(random, units)))];
}
