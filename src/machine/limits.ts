import { FleetError, isFleetError } from '../base/errors.ts';
import { quoted } from '../base/visible.ts';

const MIB = 1024 * 1024;

/**
 * The limits for input from one machine. Input beyond a limit makes the machine unusable, with this reason. Its units
 * stay, because a machine that sends too much is up.
 */
export const LIMITS = {
  // 5,000 units with their records, digests and links take 6 MiB.
  answer: { most: 8 * MIB, of: 'bytes in one answer' },
  // Unit files as base64, or the output of `systemctl status`. Only commands of an operator read them.
  text: { most: 256 * MIB, of: 'bytes in one answer' },
  // A shell that waits for the next script writes nothing.
  unasked: { most: 64 * 1024, of: 'unexpected bytes' },
  // systemctl writes two lines for each unit that it cannot start.
  errors: { most: MIB, of: 'bytes on standard error in one section' },
  // Twelve sections for each change of 4,000 units.
  sections: { most: 50_000, of: 'sections in one answer' },
  // systemctl show writes some 25 lines for a unit.
  lines: { most: 200_000, of: 'lines in one section' },
  // systemd itself takes minutes to reload more units than that.
  units: { most: 5_000, of: 'units' },
  // Aliases included.
  names: { most: 10_000, of: 'names of units' },
  // Names= of a unit with 200 aliases.
  value: { most: 64 * 1024, of: 'characters in one value' },
  // journald cuts lines at 48 KiB; a core dump comes with the maps of its process.
  entry: { most: MIB, of: 'bytes in one journal entry' },
  // Kept until the entries of several machines can be sorted.
  journal: { most: 256 * MIB, of: 'bytes of journal entries' },
  // The output of a script that installs a controller.
  output: { most: 16 * MIB, of: 'bytes of output' },
  // The snapshot that a controller sends: 100,000 units take 100 MiB.
  snapshot: { most: 256 * MIB, of: 'bytes in one answer' },
} as const satisfies Readonly<Record<string, { readonly most: number; readonly of: string }>>;

export type Limit = keyof typeof LIMITS;

/** The least and the greatest value of each kind of number in an answer. */
const RANGES = {
  // Seconds; the maximum is a century.
  uptime: [0, 3.2e9],
  // Hundredths of a second, the unit of leases.
  lease: [0, 3.2e11],
  // Epoch seconds up to the year 9999, the last one that every date format can show.
  clock: [0, 253_402_300_799],
  // Epoch µs, likewise.
  timestamp: [0, 253_402_300_799e6],
  load: [0, 1e7],
  kib: [0, 2 ** 50],
  inodes: [0, 2 ** 64],
  memory: [0, 2 ** 60],
  // systemd counts in 64 bits: 100 cores fill 2⁵³ ns in a day.
  cpu: [0, 2 ** 64],
  // An int or uint32 of D-Bus.
  count: [0, 2 ** 32 - 1],
  // A revision of the registry, which must stay exact.
  token: [0, Number.MAX_SAFE_INTEGER],
} as const satisfies Readonly<Record<string, readonly [number, number]>>;

/** The FleetError `bad-answer` for input beyond a limit; {@link badAnswer} adds the machine. */
export function beyond(limit: Limit): FleetError {
  const { most, of } = LIMITS[limit];
  return new FleetError('bad-answer', `it sent more than ${most} ${of}`);
}

/** Reads a decimal number. Throws FleetError `bad-answer` for other text, and for a number outside its range. */
export function readNumber(text: string, range: keyof typeof RANGES): number {
  const [least, most] = RANGES[range];
  const value = /^\d{1,20}(?:\.\d{1,9})?$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new FleetError(
    'bad-answer',
    `it sent ${quoted(text, 60)}, which is not a number of ${range} up to ${most}`,
  );
}

/** Returns `text` if it matches `form`. Throws FleetError `bad-answer` otherwise; `what` is its name in the message. */
export function readWord(text: string, form: RegExp, what: string): string {
  if (form.test(text)) return text;
  throw new FleetError('bad-answer', `it sent ${quoted(text, 60)}, which is not ${what}`);
}

/** Throws FleetError `bad-answer` for an amount above the limit. */
export function keepTo(limit: Limit, amount: number): void {
  if (amount > LIMITS[limit].most) throw beyond(limit);
}

/**
 * The error for an answer of `machine` that could not be read: FleetError `bad-answer`, unless the reader threw a more
 * specific one. Unexpected errors are converted too, so that an answer of one machine never ends the work on others.
 */
export function badAnswer(machine: string, error: unknown): FleetError {
  // An error with a hint already names its machine.
  const isRaw = isFleetError(error, 'bad-answer') && error.hint === undefined;
  if (isFleetError(error) && !isRaw && error.code !== 'unit-name') return error;
  const why = error instanceof Error ? error.message : String(error);
  return new FleetError('bad-answer', `Cannot use machine "${machine}": ${why}`, {
    hint: 'fleet has discarded the answer. Log in and find out what produced it: the machine may be compromised',
    cause: error,
  });
}
