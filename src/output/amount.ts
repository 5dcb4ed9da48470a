import { timeParts } from '../base/time.ts';

/** Epoch ms as systemctl writes it, without the day of the week: `2026-11-23 06:05:41 UTC`. */
export function timeText(ms: number): string {
  const { date, time } = timeParts(ms, 0);
  return `${date} ${time} UTC`;
}

/** A span of time by its two greatest parts, as systemctl words them: `3d 4h`, `2min 5s`, `41s`. */
export function spanText(seconds: number): string {
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

/** CPU time in ns: `15ms`, `1.2s`, `2min 5s`. */
export function cpuText(ns: number): string {
  const ms = Math.floor(ns / 1e6);
  if (ms < 1000) return `${ms}ms`;
  return ms < 60_000 ? `${(Math.floor(ms / 100) / 10).toFixed(1)}s` : spanText(ms / 1000);
}

/** Bytes in powers of 1024, as systemctl writes them: `512B`, `5.2M`, `1.0G`. */
export function bytesText(bytes: number): string {
  const power = bytes < 1024 ? 0 : Math.min(5, Math.floor(Math.log2(bytes) / 10));
  if (power === 0) return `${bytes}B`;
  return `${(Math.floor((bytes / 1024 ** power) * 10) / 10).toFixed(1)}${'KMGTP'[power - 1]}`;
}
