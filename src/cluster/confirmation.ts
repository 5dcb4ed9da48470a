/**
 * A change that a machine reverts unless it is confirmed (`Confirm=`), or the last one of a unit that it has reverted.
 */
export type Confirmation = {
  readonly unit: string;
  /** Of the decision. A later decision about the unit is not affected. */
  readonly token: number;
  /** fleet's hash (40 hex digits) and the SHA-256 of the text to confirm. */
  readonly hash: string;
  readonly digest: string;
  readonly windowMs: number;
} & (
  | {
      readonly state: 'armed';
      /** In seconds of the machine's monotonic clock; in the past after a reboot. */
      readonly deadline: number;
    }
  | {
      readonly state: 'reverted';
      readonly why: RevertCause;
      /** Epoch ms, by the machine's clock. */
      readonly at: number;
    }
);

/** Why: it was not confirmed in time, the machine rebooted before that, or the unit did not come up. */
export const REVERT_CAUSES = ['timeout', 'reboot', 'failed'] as const;
export type RevertCause = (typeof REVERT_CAUSES)[number];

/** The machine with its answer, if it gave one. */
type Answer = {
  readonly observation?:
    | { readonly confirmations?: readonly Confirmation[] | undefined; readonly uptimeSeconds: number }
    | undefined;
};

export function confirmationOn({ observation }: Answer, unit: string): Confirmation | undefined {
  return observation?.confirmations?.find((each) => each.unit === unit);
}

/** The time until the machine reverts the change, in ms. */
export function timeLeft({ deadline }: { readonly deadline: number }, { observation }: Answer): number {
  return Math.max(0, (deadline - (observation?.uptimeSeconds ?? 0)) * 1000);
}
