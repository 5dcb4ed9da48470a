import { FleetError } from '../base/errors.ts';

/** A place in a file, for messages. */
export type Place = { readonly file: string; readonly line: number };

/** An error about a line of an ssh_config: `"/home/u/.ssh/config" line 3: …`. */
export function problemAt({ file, line }: Place, what: string, hint?: string): FleetError {
  return problem(`${JSON.stringify(file)} line ${line}: ${what}`, hint);
}

/** An error about an ssh_config as a whole, or about what it comes to. */
export function problem(what: string, hint?: string): FleetError {
  return new FleetError('config', what, hint === undefined ? {} : { hint });
}
