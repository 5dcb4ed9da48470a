import { isUnknown, NO_STATE, type SystemdState } from '../cluster/unit-state.ts';
import { LIMITS } from '../machine/limits.ts';
import { findSection, type Section } from './frame.ts';
import { parseShow } from './show.ts';

/** How many lines of messages are read for each unit. */
export const MOST_LINES = 10_000;

/** States by unit; a unit whose state is not known is not among them. */
export type States = ReadonlyMap<string, SystemdState>;

/** The messages of systemctl about `unit` in these sections. */
export function messagesAbout(unit: string, sections: readonly Section[], names: readonly string[]): string {
  const lines = names.flatMap((name) => (findSection(sections, name)?.stderr ?? '').split('\n', MOST_LINES));
  // systemctl puts a blank before a name, which tells web.service from myweb.service.
  const about = lines.filter((line) => line.includes(` ${unit}`) && !line.startsWith('See '));
  return [...new Set(about)].join('\n');
}

/**
 * Reads the section `name`; for those of `units` that it does not show, `name-listed`. A unit that is not in that list is
 * down.
 */
export function readStates(units: readonly string[], sections: readonly Section[], name: string): States {
  const shown = parseShow(findSection(sections, name)?.stdout ?? '');
  const known = shown.flatMap(({ names, state }) =>
    isUnknown(state) ? [] : names.map((unit) => [unit, state] as const),
  );
  const listed = findSection(sections, `${name}-listed`);
  if (listed === undefined) return new Map(known);
  const readListed = listedIn(listed.stdout);
  return new Map([...units.map((unit) => [unit, readListed(unit)] as const), ...known]);
}

/**
 * The states at the end of a change. `units-now` lists them: a unit that is listed in the state and run of `started` has
 * not changed.
 */
export function readFinalStates(units: readonly string[], sections: readonly Section[]): States {
  const listed = findSection(sections, 'units-now');
  const shown = readStates(units, sections, 'units');
  if (listed?.status !== 0) return shown;
  const readListed = listedIn(listed.stdout);
  const unchanged = [...readStates(units, sections, 'started')].filter(([unit, state]) => {
    const now = readListed(unit);
    return now.active === state.active && now.sub === state.sub && now.invocation === state.invocation;
  });
  return new Map([...unchanged, ...shown]);
}

/** The units that have changed since `started`. */
export function changedUnits(units: readonly string[], sections: readonly Section[]): readonly string[] {
  if (findSection(sections, 'units-now')?.status !== 0) return [];
  const started = readStates(units, sections, 'started');
  const states = readFinalStates(units, sections);
  return units.filter((unit) => started.has(unit) && !states.has(unit));
}

/** `|web.service active running|`, and `invocation:web.service 'invocation:web.service' -> '0123…'`. */
function listedIn(text: string): (unit: string) => SystemdState {
  const [list = '', ...invocations] = text.split('\n');
  const entries = list.split('|', LIMITS.lines.most).map((entry) => entry.split(' ', 3));
  const states = new Map(entries.filter(([, active]) => active !== 'job').map((entry) => [entry[0], entry]));
  const lines = new Map(invocations.map((line) => [line.slice(0, line.indexOf(' ')), line]));
  return (unit) => {
    const [, active = 'inactive', sub = 'dead'] = states.get(unit) ?? [];
    const invocation = /([0-9a-f]{32})\W*$/.exec(lines.get(`invocation:${unit}`) ?? '')?.[1] ?? '';
    return { ...NO_STATE, load: 'loaded', active, sub, invocation };
  };
}

/** The jobs that the job of `unit` waits for, by `systemctl list-jobs --before`; undefined if it is not waiting. */
export function readQueued(unit: string, sections: readonly Section[]): readonly string[] | undefined {
  const lines = (findSection(sections, 'queue')?.stdout ?? '').split('\n', MOST_LINES);
  const jobs = lines.map((line) => /^\s*\d+\s+(\S+)\s+\S+\s+(\S+)\s*$/.exec(line));
  const index = jobs.findIndex((job) => job?.[1] === unit && job[2] === 'waiting');
  if (index === -1) return undefined;
  const rest = jobs.slice(index + 1).findIndex((job) => job !== null);
  const own = lines.slice(index + 1, rest === -1 ? undefined : index + 1 + rest);
  return own.flatMap((line) => /waiting for job \d+ \((.+)\)/.exec(line)?.[1] ?? []);
}

/** How many processes a stopped unit left running; undefined for none. */
export function readLeft(unit: string, sections: readonly Section[]): number | undefined {
  const lines = (findSection(sections, 'left')?.stdout ?? '').split('\n', MOST_LINES);
  // systemd puts a `_` before a name that a cgroup cannot have.
  const line = lines.find((each) => [unit, `_${unit}`].includes(each.split(' ', 1)[0] ?? ''));
  const count = Number(line?.split(' ', 2)[1] ?? 0);
  return count > 0 ? count : undefined;
}
