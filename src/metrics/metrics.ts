import type { ErrorCode } from '../base/errors.ts';
import type { ClusterSnapshot } from '../cluster/snapshot.ts';
import { hasAnswered } from '../cluster/unreachable.ts';
import type { ControllerEvent } from '../reconcile/notice.ts';
import { Counter } from './counter.ts';
import { exposition, type Family, type Sample } from './exposition.ts';

/** What is so at this moment; `snapshot` is undefined before every machine was asked. */
export type Moment = {
  readonly leads: boolean;
  readonly seenAt: number;
  readonly now: number;
  readonly snapshot: ClusterSnapshot | undefined;
};

/** Why passes fail, and sessions: what is known to happen. */
const PASS_FAILURES: readonly ErrorCode[] = [
  'registry-unavailable',
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

/** Counts what a controller tells, from its start on. */
export class Metrics {
  readonly #passes = new Counter([{ result: 'done' }, { result: 'with-failures' }]);
  readonly #passFailures = new Counter(reasons(PASS_FAILURES));
  readonly #decisions = new Counter();
  readonly #changes = new Counter([{ result: 'done' }]);
  readonly #connects = new Counter([{}]);
  readonly #sshFailures = new Counter(reasons(SSH_FAILURES));
  readonly #refusals = new Counter(['400', '404', '409', '412', '503'].map((status) => ({ status })));
  readonly #yields = new Counter([{}]);
  #passMs = 0;
  #passesDone = 0;

  /** Takes an event in; quick, and never throws. */
  note(event: ControllerEvent): void {
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

  /** A session on a machine began; or it could not, for the reason of that code. */
  noteConnect(failure?: string): void {
    if (failure === undefined) this.#connects.add();
    else this.#sshFailures.add({ reason: failure });
  }

  /** A request over the API that would have changed something was refused with that HTTP status. */
  noteRefusal(status: number): void {
    this.#refusals.add({ status: `${status}` });
  }

  /** All of it in the text format of Prometheus. */
  text(moment: Moment): string {
    return exposition([...this.#counted(), ...momentary(moment)]);
  }

  #counted(): readonly Family[] {
    const pass = [
      { suffix: '_sum', value: this.#passMs / 1000 },
      { suffix: '_count', value: this.#passesDone },
    ];
    const counter = (name: string, help: string, { samples }: Counter): Family => ({
      name: `fleet_${name}_total`,
      type: 'counter',
      help,
      samples,
    });
    return [
      counter('passes', 'Passes that came to their end.', this.#passes),
      counter('pass_failures', 'Passes that ended with an error.', this.#passFailures),
      { name: 'fleet_pass_seconds', type: 'summary', help: 'How long passes took.', samples: pass },
      counter('decisions', 'Decisions, and why.', this.#decisions),
      counter('changes', 'Changes of units on machines, and how they went.', this.#changes),
      counter('ssh_connects', 'Sessions that began on machines.', this.#connects),
      counter('ssh_failures', 'Sessions that could not begin or broke off, and why.', this.#sshFailures),
      counter('refusals', 'Changing requests that the API refused.', this.#refusals),
      counter('leaderships_given_up', 'Times that this leader let others decide.', this.#yields),
    ];
  }
}

function stuckReason(decision: Extract<ControllerEvent, { kind: 'stuck' }>['decision']): string {
  return decision.kind === 'keep' ? (decision.violation?.code ?? '') : 'no-machine-fits';
}

function momentary({ leads, seenAt, now, snapshot }: Moment): readonly Family[] {
  const leader = gauge('leader', '1 while this controller leads.', [{ value: leads ? 1 : 0 }]);
  if (snapshot === undefined) return [leader];
  const units = snapshot.machines.flatMap(({ observation }) => observation?.units ?? []);
  return [
    leader,
    gauge('snapshot_age_seconds', 'Age of the oldest answer of a machine.', [
      { value: Math.max(0, now - seenAt) / 1000 },
    ]),
    gauge('machines', 'Machines by state.', [
      ...byLabels(snapshot.machines, ({ unreachable }) => ({
        state:
          unreachable === undefined ? 'reachable' : hasAnswered(unreachable) ? 'unusable' : 'unreachable',
      })),
    ]),
    gauge(
      'units',
      'Units of the registry by target state.',
      byLabels(snapshot.units, ({ target }) => ({ target })),
    ),
    gauge(
      'unit_states',
      'Units on machines that answer, as systemd there has them.',
      byLabels(units, ({ state: { active, sub } }) => ({ active, sub })),
    ),
  ];
}

function gauge(name: string, help: string, samples: readonly Sample[]): Family {
  return { name: `fleet_${name}`, type: 'gauge', help, samples };
}

function byLabels<T>(
  things: readonly T[],
  labelsOf: (thing: T) => Readonly<Record<string, string>>,
): readonly Sample[] {
  const counter = new Counter();
  for (const thing of things) counter.add(labelsOf(thing));
  return counter.samples;
}

function reasons(codes: readonly ErrorCode[]): readonly { readonly reason: string }[] {
  return codes.map((reason) => ({ reason }));
}
