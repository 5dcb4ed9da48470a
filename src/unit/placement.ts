/** What a unit's `[X-Fleet]` section asks for, specifiers expanded. */
export type Placement = {
  /** A machine id in 32 hex digits, or its first eight. */
  readonly machineId: string | undefined;
  /** Metadata key → the values any of which will do. All keys must match. */
  readonly metadata: Readonly<Record<string, readonly string[]>>;
  /** Names of units whose machine this unit must share. */
  readonly machineOf: readonly string[];
  /** Globs over the names of units that must not share a machine with this one. */
  readonly conflicts: readonly string[];
  readonly global: boolean;
  readonly replaces: readonly string[];
};
