/** What a user wants of a unit, weakest first: known, placed on a machine, running. */
export const TARGET_STATES = ['inactive', 'loaded', 'launched'] as const;

export type TargetState = (typeof TARGET_STATES)[number];
