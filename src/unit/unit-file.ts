/** One `Name=Value` of a unit file. `line` counts from 1. */
export type UnitOption = {
  readonly section: string;
  readonly name: string;
  /** As written, trimmed; a continued value keeps its backslashes and line ends, as fleet keeps them. */
  readonly value: string;
  readonly line: number;
};

/** A parsed unit file. `text` is what the user gave us, to the byte. */
export type UnitFile = { readonly text: string; readonly options: readonly UnitOption[] };
