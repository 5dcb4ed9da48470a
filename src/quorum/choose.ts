/** A machine of the cluster that may be a voter. */
export type VoterCandidate = {
  readonly machine: string;
  /** Whether it answers now. */
  readonly answers: boolean;
  /** `lost`: it has been unreachable for long. A short absence changes nothing. `excluded`: it must not become a voter. */
  readonly condition: 'good' | 'drained' | 'lost' | 'excluded';
  /** Whether a fleet.conf asks for it as a voter, or against it. */
  readonly mark: boolean | undefined;
};

/** A machine that may be a voter, and what a fleet.conf says about that. */
export type QuorumMachine = Pick<VoterCandidate, 'machine' | 'mark'>;

/** The condition of a machine by name. */
export type ConditionOf = (machine: string) => VoterCandidate['condition'];

/** Five voters in clusters of seven machines or more, one in clusters of one or two, three otherwise. */
export function voterCount(machines: number): number {
  if (machines >= 7) return 5;
  return machines >= 3 ? 3 : 1;
}

/**
 * The machines that should be voters after the next change; `voters` themselves if there is nothing to change. Candidates are
 * all machines of the cluster, in order of preference. One voter is replaced at a time, and only by a machine that is better.
 * The number of voters is odd, and a majority of them answers.
 */
export function chooseVoters(
  voters: readonly string[],
  candidates: readonly VoterCandidate[],
): readonly string[] {
  const known = new Map(candidates.map((candidate) => [candidate.machine, candidate]));
  const worth = (machine: string): number => worthOf(known.get(machine));
  const answers = (machine: string): number => Number(known.get(machine)?.answers ?? false);
  const best = (a: string, b: string): number => worth(b) - worth(a) || answers(b) - answers(a);
  const eligible = candidates.filter(({ mark }) => mark !== false).map(({ machine }) => machine);
  const mayJoin = (machine: string): boolean =>
    known.get(machine)?.condition !== 'excluded' && !voters.includes(machine);
  const free = eligible.filter((machine) => answers(machine) && mayJoin(machine)).toSorted(best);
  const present = voters.toSorted(best);
  const next = (): readonly string[] => {
    const most = voterCount(eligible.length);
    if (present.length > most) return present.toSorted((a, b) => answers(b) - answers(a)).slice(0, most);
    const more = [...present, ...free].slice(0, most);
    const odd = more.slice(0, more.length - ((more.length + 1) % 2));
    if (odd.length > present.length) return odd;
    const [worst, fresh] = [present.at(-1), free[0]];
    const isBetter = worst !== undefined && fresh !== undefined && worth(fresh) > worth(worst);
    return isBetter ? [...present.slice(0, -1), fresh] : present;
  };
  const chosen = next();
  return chosen.filter(answers).length * 2 > chosen.length ? chosen : voters;
}

/** The voters of a new registry, and those that an existing one is likely to have. */
export function firstVoters(
  machines: readonly QuorumMachine[],
  conditionOf: ConditionOf = () => 'good',
): readonly string[] {
  const candidates = machines.map((each) => ({
    ...each,
    answers: true,
    condition: conditionOf(each.machine),
  }));
  return chooseVoters([], candidates);
}

/** A machine that has left the cluster is the worst one, and one that a fleet.conf asks for the best. */
function worthOf(candidate: VoterCandidate | undefined): number {
  if (candidate === undefined || candidate.mark === false) return 0;
  if (candidate.condition === 'excluded') return 1;
  if (candidate.condition === 'lost') return 2;
  if (candidate.condition === 'drained') return 3;
  return candidate.mark === true ? 5 : 4;
}
