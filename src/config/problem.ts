import { FleetError } from '../base/errors.ts';

/** An error about the configuration. */
export function problem(message: string, hint?: string, cause?: unknown): FleetError {
  return new FleetError('config', message, { ...(hint === undefined ? {} : { hint }), cause });
}

/** A path or a name for a message: in double quotes, on one line. */
export function quote(text: string): string {
  return JSON.stringify(text);
}

/** A text of any length for a message: quoted, and cut after 80 UTF-16 units. */
export function excerpt(text: string): string {
  return quote(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
