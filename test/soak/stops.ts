import { type Chronicle, LEADER, type Told } from './chronicle.ts';
import type { Copies, Lapse } from './copies.ts';
import type { Run } from './runs.ts';
import { hashOf, isGlobal } from './units.ts';

/** The stops for which there was no reason: neither a decision about the unit, nor a command, nor a reboot, nor the end of a lease. */
export function unexplained(
  runs: readonly Run[],
  { lapses }: Copies,
  chronicle: Chronicle,
): readonly string[] {
  return runs
    .filter((run) => run.isStop && !isExplained(run, lapses, chronicle))
    .map(
      ({ unit, machine, version, from, to }) =>
        `${unit} on ${machine}, text ${version}, started ${iso(from)}, stopped ${iso(to)}; told: ${chronicle.told
          .filter(({ event }) => 'unit' in event && event.unit === unit)
          .map((told) => `${iso(told.at)} ${JSON.stringify(told.event)}`)
          .join(', ')}`,
    );
}

function isExplained(run: Run, lapses: readonly Lapse[], chronicle: Chronicle): boolean {
  return (
    isDecided(run, chronicle) ||
    isTold(run, chronicle) ||
    chronicle.troublesOf(run.machine, run.to, run.to).some(({ kind }) => kind === 'reboot') ||
    lapses.some((lapse) => isLapseOf(run, lapse) && hasReason(lapse, chronicle))
  );
}

/** Whether the unit was to be elsewhere, nowhere, or of another text, at some moment while it ran. */
function isDecided({ unit, machine, version, from, to }: Run, chronicle: Chronicle): boolean {
  const hash = hashOf(unit, Number(version));
  const differs = (wish: Wish): boolean =>
    !wish.isWanted || wish.hash !== hash || (wish.home !== machine && !isGlobal(unit));
  const wishes = wishesFor(unit, chronicle.told);
  return wishes.some(
    (wish, i) =>
      differs(wish) && wish.since <= to && (wishes[i + 1]?.since ?? Number.POSITIVE_INFINITY) > from,
  );
}

/** What the registry says of a unit from a moment on, epoch ms. */
type Wish = {
  readonly since: number;
  readonly isWanted: boolean;
  readonly home: string | undefined;
  readonly hash: string | undefined;
};

function wishesFor(unit: string, told: readonly Told[]): readonly Wish[] {
  const wishes: Wish[] = [{ since: 0, isWanted: false, home: undefined, hash: undefined }];
  for (const { at: since, event } of told) {
    const last = wishes.at(-1);
    if (!('unit' in event) || event.unit !== unit || last === undefined) continue;
    wishes.push({
      since,
      isWanted:
        event.kind === 'target' ? event.target === 'launched' : event.kind !== 'destroy' && last.isWanted,
      home: 'to' in event ? event.to.name : last.home,
      hash: event.kind === 'text' ? event.hash : last.hash,
    });
  }
  return wishes;
}

/** How long after it goes on a machine may take to do what it was told before, in ms. */
const LATE_MS = 2_000;

/** A command, or a person, stopped it. What was sent to a machine that stood still is done when that goes on. */
function isTold({ unit, machine, to }: Run, chronicle: Chronicle): boolean {
  return chronicle.deeds
    .filter(
      ({ words }) =>
        (words[0] === 'restart' && words.includes(unit)) ||
        (words[0] === 'by-hand' && words[1] === unit && words[2] === machine),
    )
    .some((deed) => {
      const ends = chronicle.troublesOf(machine, deed.from, deed.to).map((trouble) => trouble.to + LATE_MS);
      return deed.from <= to && to <= Math.max(deed.to, ...ends);
    });
}

function isLapseOf({ unit, machine, from, to }: Run, lapse: Lapse): boolean {
  return lapse.unit === unit && lapse.machine === machine && from <= lapse.at && lapse.at <= to;
}

/** Whether something kept the machine from getting a lease: for as long as one lasts, and again to be back. */
export function hasReason({ machine, at }: Lapse, chronicle: Chronicle): boolean {
  const from = at - 2 * chronicle.ttlMs;
  const isLost = chronicle.told.some(
    (told) =>
      told.event.kind === 'machine-lost' && told.event.machine === machine && told.at > from && told.at < at,
  );
  if (isLost || chronicle.reigns.some((change) => change > from && change <= at)) return true;
  return [machine, LEADER].some((victim) => chronicle.troublesOf(victim, from, at).length > 0);
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
