import { formatTime } from '../base/time.ts';
import { formatMachineId } from '../machine/machine.ts';
import type { Listing, MachineRef } from '../operations/listing.ts';
import { formatBytes, formatCpuTime, formatDate, formatSpan, machineLabel } from './format.ts';
import { confirmationsJson, machineJson, unreachableJson, unreadableJson } from './json.ts';
import type { Column, TableOptions } from './table.ts';

/** One field of a listing: its column, its keys in JSON, and its description in help and in the manual. */
export type Field<Row> = Column<Row> & {
  readonly json: Readonly<Record<string, (row: Row) => unknown>>;
  /** As in "since is the time of …"; undefined if the name says it. */
  readonly meaning?: string;
  /** The value changes although nothing happens, so `--watch -o json` does not count it as a change. */
  readonly isMeasure?: true;
};

export type ListingView<Row> = {
  /** The key of the rows in JSON. */
  readonly key: string;
  readonly fields: readonly Field<Row>[];
  /** The fields that are shown without `--fields`. */
  readonly defaults: readonly string[];
};

/** `{ "units": […], "unreachable": […], "unreadable": […] }`, see src/manual/json.md for every field. */
export function listingJson<Row>(view: ListingView<Row>, listing: Listing<Row>): object {
  return {
    [view.key]: rowsJson(view.fields, listing.rows),
    unreachable: unreachableJson(listing.unreachable),
    unreadable: unreadableJson(listing.unreadable),
    ...confirmationsJson(listing),
    ...(listing.withoutRegistry && { withoutRegistry: listing.withoutRegistry.message }),
  };
}

/** The text of a listing without its measures, for comparison. */
export function listingSignature<Row>(view: ListingView<Row>, listing: Listing<Row>): string {
  const fields = view.fields.filter(({ isMeasure }) => isMeasure !== true);
  const unreachable = listing.unreachable.map((machine) => ({ ...machine, silentMs: 0 }));
  const unconfirmed = (listing.unconfirmed ?? []).map((each) => ({
    ...each,
    leftMs: Math.sign(each.leftMs),
  }));
  return JSON.stringify(listingJson({ ...view, fields }, { ...listing, unreachable, unconfirmed }));
}

export function rowsJson<Row>(fields: readonly Field<Row>[], rows: readonly Row[]): readonly object[] {
  const keys = fields.flatMap(({ json }) => Object.entries(json));
  return rows.map((row) => {
    const object: Record<string, unknown> = {};
    for (const [key, get] of keys) object[key] = get(row);
    return object;
  });
}

/** `SINCE is the time of …. RESULT is …`: the sentences of help about the fields. */
export function fieldSentences({ fields }: ListingView<never>): string {
  const sentences = fields.flatMap(({ field, meaning }) =>
    meaning === undefined ? [] : `${field.toUpperCase()} is ${meaning}.`,
  );
  return sentences.join(' ');
}

type FieldOptions = {
  /** The key in JSON, if it is not the name of the field. */
  readonly json?: string;
} & Pick<Field<never>, 'meaning' | 'isMeasure'>;

/** Makes the fields of one kind. An unknown value is an empty cell, and null in JSON. */
function kind<T>(
  cell: (value: T, options: TableOptions) => string,
  json: (value: T) => unknown = (value) => value,
) {
  return <Row>(
    field: string,
    get: (row: Row) => T | undefined,
    { json: key = field, ...rest }: FieldOptions = {},
  ): Field<Row> => ({
    field,
    value: (row, options) => optional(get(row), '', (value) => cell(value, options)),
    json: { [key]: (row) => optional(get(row), null, json) },
    ...rest,
  });
}

function optional<T, R, Unknown>(
  value: T | undefined,
  unknown: Unknown,
  format: (value: T) => R,
): R | Unknown {
  return value === undefined ? unknown : format(value);
}

export const text = kind((value: string) => value);
export const number = kind((value: number) => String(value));
export const time = kind(formatDate, formatTime);
export const bytes = kind(formatBytes);
export const cpuTime = kind(formatCpuTime);
export const seconds = kind(formatSpan);
/** Seven digits, as git and fleet shorten a hash. */
export const hash = kind((value: string, { full }) => (full ? value : value.slice(0, 7)));
export const machine = kind((ref: MachineRef, { full }) => machineLabel(ref, full), machineJson);
export const machineId = kind(formatMachineId, formatMachineId);
