/** How long whoever changes units waits for what systemd does about it. */
export type Patience = {
  /** False: jobs are handed to systemd, and what becomes of them is not looked at. */
  readonly blocks: boolean;
  /**
   * How long all waits together may take, in ms, from when the driver is made; undefined for two minutes for the
   * stops of a machine and two for its starts.
   */
  readonly timeoutMs: number | undefined;
};

/** Waits until it is done, or for what counts as stuck. */
export const PATIENT: Patience = { blocks: true, timeoutMs: undefined };
