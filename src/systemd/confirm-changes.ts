import { setTimeout as sleep } from 'node:timers/promises';
import { isFleetError } from '../base/errors.ts';
import type { RevertCause } from '../cluster/confirmation.ts';
import type { Failure, UnitOutcome } from '../cluster/failure.ts';
import { isUp, type SystemdState } from '../cluster/unit-state.ts';
import { unreachableFailure } from '../cluster/unreachable.ts';
import type { Step, UnitChange } from '../plan/step.ts';
import {
  confirmQuery,
  type RevertState,
  revertQuery,
  settledQuery,
  type Unconfirmed,
} from './confirmation.ts';
import type { MachineSession } from './driver.ts';
import { healthQuery } from './health.ts';

/** How long after the end of the window the machine is asked whether it has reverted the change, in ms. */
const AFTERWARDS_MS = 10_000;
/** The first and the longest pause between two attempts, in ms. */
const PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 1000;

/** How a change is confirmed. */
export type Confirming = {
  /** The session of the change. */
  readonly ask: MachineSession['ask'];
  /** Runs `work` in a session over a new connection with a new login. */
  readonly again: <T>(work: (ask: MachineSession['ask']) => Promise<T>) => Promise<T>;
  /** The time at which the change was sent, in ms of `performance.now()`. The window of the machine began later. */
  readonly sentAt: number;
  /** The id of the script that made the change: only that one is reverted. */
  readonly by: string;
  readonly settleMs: number;
};

/** How a change without a confirmation ends: with the reason, and that of the machine if it has reported its revert. */
type Ending = { readonly cause: Failure | undefined; readonly reverted?: RevertCause };

type Arm = Extract<Step, { kind: 'arm' }>;

export function armOf({ steps }: Pick<UnitChange, 'steps'>): Arm | undefined {
  return steps.find((step) => step.kind === 'arm');
}

/**
 * The outcome of a change after its confirmation; other changes have it already. A unit that is up is confirmed over a new
 * login, also if its change has ended the connection, as a change of the network does. One that did not come up is reverted at
 * once.
 */
export async function confirmed(
  outcome: UnitOutcome,
  change: UnitChange,
  confirming: Confirming,
): Promise<UnitOutcome> {
  const step = armOf(change);
  if (step === undefined) return outcome;
  const { failure } = outcome;
  const { unit, token } = change;
  const request: Unconfirmed = { unit, token, digest: step.digest, by: confirming.by };
  const ending =
    failure === undefined || failure.code === 'unreachable'
      ? await overNewLogin(request, outcome, step, confirming)
      : await atOnce(request, failure, confirming);
  if (ending === 'not-armed') return failure === undefined ? { ...outcome, failure: UNVERIFIED } : outcome;
  if (!('cause' in ending)) return { ...outcome, ...ending, failure: undefined };
  return { ...outcome, failure: { code: 'unconfirmed', windowMs: step.windowMs, ...ending } };
}

const UNVERIFIED: Failure = { code: 'unverified' };

async function atOnce(
  request: Unconfirmed,
  cause: Failure,
  { ask }: Confirming,
): Promise<Ending | 'not-armed'> {
  const state = await ask(revertQuery(request)).catch((error: unknown) => {
    // The machine reverts it by itself.
    if (isFleetError(error)) return 'reverting';
    throw error;
  });
  if (state === 'not-armed') return state;
  return { cause, ...(typeof state === 'object' && state) };
}

/** Repeats the attempt until the machine has confirmed or reverted the change, or the time is over. */
async function overNewLogin(
  request: Unconfirmed,
  { state: found, failure }: UnitOutcome,
  { windowMs, health }: Arm,
  { again, sentAt, settleMs }: Confirming,
): Promise<Ending | 'not-armed' | { readonly state: SystemdState }> {
  let cause = failure;
  let up = failure === undefined ? found : undefined;
  for (let pauseMs = PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    try {
      const result = await again(async (ask): Promise<RevertState> => {
        const settled = up === undefined ? await ask(settledQuery(request.unit, settleMs)) : undefined;
        // A unit that is up again in another run still has to prove that it stays up.
        if (settled !== undefined && !isUp(settled.state))
          cause = { code: 'not-up', state: settled.state, detail: '', journal: [] };
        if (settled?.isUp === true) up = settled.state;
        if (up === undefined) return 'not-up';
        const ill = health === undefined ? undefined : await ask(healthQuery(health));
        if (ill === undefined) return ask(confirmQuery(request, up));
        cause = ill;
        return ask(revertQuery(request));
      });
      if (result === 'confirmed' && up !== undefined) return { state: up };
      if (result === 'not-armed') return result;
      if (typeof result === 'object') return { cause, ...result };
      if (result === 'not-up') up = undefined;
    } catch (error) {
      if (!isFleetError(error)) throw error;
      cause = unreachableFailure(error);
    }
    if (performance.now() + pauseMs > sentAt + windowMs + AFTERWARDS_MS) return { cause };
    await sleep(pauseMs);
  }
}
