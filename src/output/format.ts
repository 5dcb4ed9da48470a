import { formatDuration, timeParts } from '../base/time.ts';
import { formatMachineId, shortMachineId } from '../machine/machine.ts';
import type { MachineRef } from '../operations/listing.ts';

/** Epoch ms in the format of systemctl, without the day of the week: `2026-11-23 06:05:41 UTC`. */
export function formatDate(ms: number): string {
  const { date, time } = timeParts(ms, 0);
  return `${date} ${time} UTC`;
}

/** The two largest parts of a time span, in the format of systemctl: `3d 4h`, `2min 5s`, `41s`. */
export function formatSpan(seconds: number): string {
  const whole = Math.floor(seconds);
  const parts = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor(whole / 3600) % 24, 'h'],
    [Math.floor(whole / 60) % 60, 'min'],
    [whole % 60, 's'],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return '0s';
  const shown = parts.slice(first, first + 2).filter(([count]) => count > 0);
  return shown.map(([count, unit]) => `${count}${unit}`).join(' ');
}

/** A duration for people: whole seconds up to two minutes, then minutes up to two hours, then hours. */
export function formatAge(ms: number): string {
  const unit = ms < 120_000 ? 1000 : ms < 7_200_000 ? 60_000 : 3_600_000;
  return ms < 500 ? '0s' : formatDuration(Math.round(ms / unit) * unit);
}

/** A moment that comes in `ms`: `in 12s`, or `now`. */
export function formatRemaining(ms: number): string {
  return ms < 500 ? 'now' : `in ${formatAge(ms)}`;
}

/** CPU time in ns: `15ms`, `1.2s`, `2min 5s`. */
export function formatCpuTime(ns: number): string {
  const ms = Math.floor(ns / 1e6);
  if (ms < 1000) return `${ms}ms`;
  return ms < 60_000 ? `${(Math.floor(ms / 100) / 10).toFixed(1)}s` : formatSpan(ms / 1000);
}

/** Bytes in powers of 1024, in the format of systemctl: `512B`, `5.2M`, `1.0G`. */
export function formatBytes(bytes: number): string {
  const power = bytes < 1024 ? 0 : Math.min(5, Math.floor(Math.log2(bytes) / 10));
  if (power === 0) return `${bytes}B`;
  return `${(Math.floor((bytes / 1024 ** power) * 10) / 10).toFixed(1)}${'KMGTP'[power - 1]}`;
}

/** `148a18ff.../10.10.1.1`, with the whole id if `full`; `-` for an unknown id. */
export function machineLabel({ id, address }: MachineRef, full = false): string {
  const shown = id === undefined ? '-' : full ? formatMachineId(id) : shortMachineId(id);
  return address === '' ? shown : `${shown}/${address}`;
}

/** The name of a machine in messages: `"m1" (10.10.1.1)`. */
export function machineTitle({ name, address }: MachineRef): string {
  return address === '' ? `"${name}"` : `"${name}" (${address})`;
}

/** The packages of missing tools. */
export function packagesOf(tools: readonly string[]): string {
  const names = tools.map((tool) => (tool === 'flock' ? 'util-linux' : 'coreutils'));
  return [...new Set(names)].join(' and ');
}
