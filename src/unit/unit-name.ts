/** The unit types that fleet runs: those that are files a person writes (no device, no scope). */
export const UNIT_TYPES = [
  'service',
  'socket',
  'timer',
  'path',
  'mount',
  'automount',
  'swap',
  'target',
  'slice',
] as const;

export type UnitType = (typeof UNIT_TYPES)[number];

/** A checked unit name. `text` is the whole name: `web@1.service`. */
export type UnitName = {
  readonly text: string;
  readonly type: UnitType;
  /** What stands before the `@` or the suffix: `web`. Specifier `%p`. */
  readonly prefix: string;
  /** What stands between `@` and the suffix; empty for a template, undefined for a plain unit. Specifier `%i`. */
  readonly instance: string | undefined;
};
