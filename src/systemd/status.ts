import { quote } from '../ssh/shell.ts';
import type { Query } from './driver.ts';
import { findSection } from './frame.ts';
import { notUsable } from './read-observation.ts';
import { complete } from './script.ts';

type StatusRequest = { readonly units: readonly string[]; readonly lines: number };

/** What `systemctl status` prints of each unit, with up to `lines` lines of its journal, in the order of `units`. */
export function statusQuery(request: StatusRequest): Query<readonly string[], 'status', StatusRequest> {
  const { units, lines } = request;
  return {
    kind: 'status',
    request,
    script: complete(
      'statuses',
      units.map((unit, index) => `section status:${index} status_of ${quote(unit)} ${lines}`),
    ),
    isPublic: true,
    most: 'text',
    read: (sections, { name }) =>
      units.map((_, index) => {
        const section = findSection(sections, `status:${index}`);
        if (section === undefined) throw notUsable(name, 'its answer lacks the status of a unit', undefined);
        return section.stdout || section.stderr;
      }),
  };
}

/** The last lines in the journal about each unit since a change script of this session began, by unit. */
export function journalsQuery(
  units: readonly string[],
  lines: number,
): Query<ReadonlyMap<string, readonly string[]>> {
  return {
    kind: 'journals',
    request: { units, lines },
    script: complete('journals', [
      // Else journald may not have read yet what a process wrote just before it ended.
      'journalctl --quiet --sync </dev/null >/dev/null 2>&1',
      ...units.map((unit, index) => `section journal:${index} journal ${quote(unit)} ${lines} "$began"`),
    ]),
    isPublic: true,
    read: (sections) =>
      new Map(
        units.map((unit, index) => {
          const text = findSection(sections, `journal:${index}`)?.stdout ?? '';
          return [unit, text.split('\n').filter((line) => line !== '')];
        }),
      ),
  };
}
