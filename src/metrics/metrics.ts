import type { ErrorCode } from '../base/errors.ts';
import type { ClusterSnapshot } from '../cluster/snapshot.ts';
import { hasAnswered } from '../cluster/unreachable.ts';
import type { ControllerEvent } from '../reconcile/events.ts';

/** The state of a controller; `snapshot` is undefined before every machine was observed. */
export type Moment = {
  readonly leads: boolean;
  readonly seenAt: number;
  readonly now: number;
  readonly snapshot: ClusterSnapshot | undefined;
};

/** The known reasons of failed passes and sessions. */
const PASS_FAILURES: readonly ErrorCode[] = [
  'registry-unavailable',
  'registry-no-majority',
  'registry-newer',
  'registry-corrupt',
  'registry-outdated',
  'registry-conflict',
];
const SSH_FAILURES: readonly ErrorCode[] = [
  'ssh-name',
  'ssh-refused',
  'ssh-timeout',
  'ssh-lost',
  'ssh-turned-away',
  'ssh-local',
  'ssh-host-key',
  'ssh-authentication',
  'become-denied',
  'remote-script',
  'bad-answer',
];

/** Counts the events of a controller since its start. */
export class Metrics {
  readonly #passes = counter('passes', 'Completed passes.', [
    { result: 'done' },
    { result: 'with-failures' },
  ]);
  readonly #passFailures = counter(
    'pass_failures',
    'Passes that ended with an error.',
    reasons(PASS_FAILURES),
  );
  readonly #decisions = counter('decisions', 'Decisions and their reasons.');
  readonly #changes = counter('changes', 'Changes of units on machines, by result.', [{ result: 'done' }]);
  readonly #connects = counter('ssh_connects', 'Sessions that began on machines.', [{}]);
  readonly #sshFailures = counter('ssh_failures', 'Sessions that failed.', reasons(SSH_FAILURES));
  readonly #refusals = counter(
    'refusals',
    'Changing requests that the API refused.',
    ['400', '404', '409', '412', '503'].map((status) => ({ status })),
  );
  readonly #yields = counter('leaderships_given_up', 'Times that this leader gave up the leadership.', [{}]);
  #passMs = 0;
  #passesDone = 0;

  /** Counts an event; quick, and never throws. */
  handle(event: ControllerEvent): void {
    switch (event.kind) {
      case 'pass-done':
        this.#passes.add({ result: event.failures === 0 ? 'done' : 'with-failures' });
        this.#passMs += event.ms;
        this.#passesDone++;
        break;
      case 'pass-failed':
        this.#passFailures.add({ reason: event.error.code });
        break;
      case 'decided':
        this.#decisions.add({ decision: event.decision, reason: event.because?.code ?? 'wanted' });
        break;
      case 'stuck':
        this.#decisions.add({ decision: event.decision.kind, reason: stuckReason(event.decision) });
        break;
      case 'leadership-given-up':
        this.#yields.add();
        break;
      case 'outcome':
        this.#changes.add({ result: event.failure?.code ?? 'done' });
        break;
    }
  }

  /** Counts a session that began, or that failed with that code. */
  countSession(failure?: string): void {
    if (failure === undefined) this.#connects.add();
    else this.#sshFailures.add({ reason: failure });
  }

  /** Counts a changing request that the API refused with that HTTP status. */
  countRefusal(status: number): void {
    this.#refusals.add({ status: `${status}` });
  }

  /** All metrics in the text format of Prometheus. */
  text(moment: Moment): string {
    const durations = new Family('summary', 'fleet_pass_seconds', 'Duration of passes.');
    durations.add({}, this.#passMs / 1000, '_sum');
    durations.add({}, this.#passesDone, '_count');
    const families = [
      this.#passes,
      this.#passFailures,
      durations,
      this.#decisions,
      this.#changes,
      this.#connects,
      this.#sshFailures,
      this.#refusals,
      this.#yields,
      ...gauges(moment),
    ];
    return families.map((family) => family.text).join('');
  }
}

function counter(name: string, help: string, known: ConstructorParameters<typeof Family>[3] = []): Family {
  return new Family('counter', `fleet_${name}_total`, help, known);
}

function reasons(codes: readonly ErrorCode[]): readonly { readonly reason: string }[] {
  return codes.map((reason) => ({ reason }));
}

function stuckReason(decision: Extract<ControllerEvent, { kind: 'stuck' }>['decision']): string {
  return decision.kind === 'keep' ? decision.violation.code : 'no-machine-fits';
}

function gauges({ leads, seenAt, now, snapshot }: Moment): readonly Family[] {
  const gauge = (name: string, help: string): Family => new Family('gauge', `fleet_${name}`, help);
  const leader = gauge('leader', '1 while this controller leads.');
  leader.add({}, leads ? 1 : 0);
  if (snapshot === undefined) return [leader];
  const age = gauge('snapshot_age_seconds', 'Age of the oldest observation of a machine.');
  age.add({}, Math.max(0, now - seenAt) / 1000);
  const machines = gauge('machines', 'Machines by state.');
  const states = gauge('unit_states', 'Units on reachable machines by their state in systemd.');
  for (const { observation, unreachable } of snapshot.machines) {
    const state = unreachable && (hasAnswered(unreachable) ? 'unusable' : 'unreachable');
    machines.add({ state: state ?? 'reachable' });
    for (const { active, sub } of (observation?.units ?? []).map((unit) => unit.state))
      states.add({ active, sub });
  }
  const units = gauge('units', 'Units of the registry by target state.');
  for (const { target } of snapshot.units) units.add({ target });
  return [leader, age, machines, units, states];
}

type Labels = Readonly<Record<string, string>>;
type Sample = { readonly labels: Labels; readonly suffix: string; value: number };

/** The content type of the text format of Prometheus. */
export const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Samples of one name, by their labels. */
class Family {
  readonly #type: 'counter' | 'gauge' | 'summary';
  readonly #name: string;
  readonly #help: string;
  readonly #samples = new Map<string, Sample>();

  /** `known` labels are there from the start, at 0: otherwise the first event of a kind would not be an increase. */
  constructor(
    type: 'counter' | 'gauge' | 'summary',
    name: string,
    help: string,
    known: readonly Labels[] = [],
  ) {
    this.#type = type;
    this.#name = name;
    this.#help = help;
    for (const labels of known) this.add(labels, 0);
  }

  /** `suffix` is added to the name of the family: `_sum`. */
  add(labels: Labels = {}, by = 1, suffix = ''): void {
    const key = JSON.stringify([labels, suffix]);
    const sample = this.#samples.get(key) ?? { labels, suffix, value: 0 };
    sample.value += by;
    this.#samples.set(key, sample);
  }

  get text(): string {
    const lines = [...this.#samples.values()].map(
      ({ labels, suffix, value }) => `${this.#name}${suffix}${labelText(labels)} ${value}\n`,
    );
    return `# HELP ${this.#name} ${this.#help}\n# TYPE ${this.#name} ${this.#type}\n${lines.join('')}`;
  }
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
