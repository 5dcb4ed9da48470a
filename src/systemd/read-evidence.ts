import { isUnknown, NO_STATE, type SystemdState } from '../cluster/unit-state.ts';
import { LIMITS } from '../machine/limits.ts';
import { findSection, type Section } from './frame.ts';
import { parseShow } from './show.ts';

/** How many lines of what systemctl says are read for each unit. */
export const MOST_LINES = 10_000;

/** What a change script found of units, by name; a unit that it could not learn about is not among them. */
export type States = ReadonlyMap<string, SystemdState>;

/**
 * Reads the section `name` and, of `units` that it does not show, `name-sighted`: what systemd lists as up. What is not in
 * that list is down.
 */
export function readStates(units: readonly string[], sections: readonly Section[], name: string): States {
  const shown = parseShow(findSection(sections, name)?.stdout ?? '');
  const states = new Map(shown.flatMap(({ names, state }) => names.map((unit) => [unit, state] as const)));
  const sighted = findSection(sections, `${name}-sighted`);
  const known = [...states].filter(([, state]) => !isUnknown(state));
  if (sighted === undefined) return new Map(known);
  const readSighted = sightedIn(sighted.stdout);
  return new Map([...units.map((unit) => [unit, readSighted(unit)] as const), ...known]);
}

/** `|web.service active running|`, and `invocation:web.service 'invocation:web.service' -> '0123…'`. */
function sightedIn(text: string): (unit: string) => SystemdState {
  const [list = '', ...runs] = text.split('\n');
  const entries = list.split('|', LIMITS.lines.most).map((entry) => entry.split(' ', 3));
  const words = new Map(entries.filter(([, active]) => active !== 'job').map((entry) => [entry[0], entry]));
  const lines = new Map(runs.map((line) => [line.slice(0, line.indexOf(' ')), line]));
  return (unit) => {
    const [, active = 'inactive', sub = 'dead'] = words.get(unit) ?? [];
    return sightedState(active, sub, lines.get(`invocation:${unit}`));
  };
}

function sightedState(active: string, sub: string, run: string | undefined): SystemdState {
  const invocation = /([0-9a-f]{32})\W*$/.exec(run ?? '')?.[1] ?? '';
  return { ...NO_STATE, load: 'loaded', active, sub, invocation };
}

/** What the job of `unit` waits for, by `systemctl list-jobs --before`; undefined when it has none or it is under way. */
export function readQueued(unit: string, sections: readonly Section[]): readonly string[] | undefined {
  const lines = (findSection(sections, 'queue')?.stdout ?? '').split('\n', MOST_LINES);
  const jobs = lines.map((line) => /^\s*\d+\s+(\S+)\s+\S+\s+(\S+)\s*$/.exec(line));
  const index = jobs.findIndex((job) => job?.[1] === unit && job[2] === 'waiting');
  if (index === -1) return undefined;
  const rest = jobs.slice(index + 1).findIndex((job) => job !== null);
  const own = lines.slice(index + 1, rest === -1 ? undefined : index + 1 + rest);
  return own.flatMap((line) => /waiting for job \d+ \((.+)\)/.exec(line)?.[1] ?? []);
}

/** How many processes a unit that was stopped left running; undefined for none. */
export function readLeft(unit: string, sections: readonly Section[]): number | undefined {
  const lines = (findSection(sections, 'left')?.stdout ?? '')
    .split('\n', MOST_LINES)
    .map((line) => line.split(' ', 2));
  // A name that a cgroup cannot have has a `_` in front there.
  const count = Number(lines.find(([name]) => name === unit || name === `_${unit}`)?.[1] ?? 0);
  return count > 0 ? count : undefined;
}

/** What systemctl said about `unit` in these sections, without where to look for more. */
export function saidAbout(unit: string, sections: readonly Section[], names: readonly string[]): string {
  const lines = names.flatMap((name) => (findSection(sections, name)?.stderr ?? '').split('\n', MOST_LINES));
  // systemctl puts a blank before names; web.service is not spoken of where myweb.service is.
  return [...new Set(lines)]
    .filter((line) => line.includes(` ${unit}`) && !line.startsWith('See '))
    .join('\n');
}
