import { globProblem, isGlob, matchesGlob } from '../base/glob.ts';
import { quoted } from '../base/visible.ts';
import { type Fence, readFence } from './fence.ts';
import { type FleetSection, readFleetSection, type Word, wordError } from './fleet-section.ts';
import { readCommand, readConfirm, readCopyLimit, readFailurePolicy, readTime } from './rollout-options.ts';
import { isTrue, type UnitFile } from './unit-file.ts';
import { isTemplate, parseUnitName, type UnitName, unitNameProblem } from './unit-name.ts';

/**
 * The effect of an option on the choice of a machine: it depends only on the machine (`own`), or also on other units, records
 * or leases (`others`). An option without one may be only for folders: then a difference in it does not restart a unit.
 */
type Effect = 'own' | 'others' | 'none' | 'folder';

/** How an option of [X-Fleet] is read: the field of {@link Placement} that it sets, and its value from its words. */
type Option = {
  readonly field: string;
  readonly read: (words: readonly Word[], file: UnitFile) => unknown;
  readonly effect: Effect;
  /** An example of its value, and the text of the manual, in Markdown. The build leaves them out. */
  readonly manual: readonly [value: string, text: string];
};

/** The options of [X-Fleet], in the order of the manual. */
const OPTIONS = {
  /** A machine id in 32 hex digits, or its first eight; undefined for any machine. */
  MachineID: {
    field: 'machineId',
    read: readMachineId,
    effect: 'own',
    manual: ['', 'Only this machine: the whole id, or its first eight digits.'],
  },
  /** Metadata key → the values any of which is accepted. All keys must match. */
  MachineMetadata: {
    field: 'metadata',
    read: readMetadata,
    effect: 'own',
    manual: [
      'region=eu',
      'Only machines with this metadata. If several keys are given, all must match. Several values of one key are alternatives: `MachineMetadata="region=eu" "region=us"`.',
    ],
  },
  /** Names of units whose machine this unit must share. */
  MachineOf: {
    field: 'machineOf',
    read: (words): readonly string[] => words.map(readOtherUnit),
    effect: 'others',
    manual: ['db.service', 'The machine of that unit.'],
  },
  /** Globs over the names of units that must not share a machine with this one. */
  Conflicts: {
    field: 'conflicts',
    read: (words): readonly string[] => words.map(readConflict),
    effect: 'others',
    manual: [
      'web@*.service',
      'No machine with a unit of that name. Globs are allowed, and the rule applies in both directions.',
    ],
  },
  /** Whether it runs on every machine that it fits. */
  Global: {
    field: 'global',
    read: readBoolean,
    effect: 'others',
    manual: ['true', 'Every machine that fits. It can be combined with `MachineMetadata` and `Conflicts`.'],
  },
  /** Names of units that it replaces on their machine. */
  Replaces: {
    field: 'replaces',
    read: (words): readonly string[] => words.map(readOtherUnit),
    effect: 'others',
    manual: [
      'old.service',
      'The unit takes the machine of that unit, if the machine fits. The old unit moves to another machine that fits, and is up there before it stops here. If no machine fits it, it stays launched without a machine.',
    ],
  },
  /** Set for a unit of which two copies must never run at the same time. */
  Fenced: {
    field: 'fence',
    read: readFenced,
    effect: 'others',
    manual: [
      'true',
      'A service that never runs twice, even if its machine is unreachable; see [fencing](fencing.md). It needs `fleetd`.',
    ],
  },
  /** The target state that a folder gives the unit; undefined for the default. */
  Target: {
    field: 'target',
    read: readTarget,
    effect: 'folder',
    manual: [
      'loaded',
      'The target state that [applying a folder](folders.md) gives the unit: `launched`, `loaded` or `inactive`. For a template, that of its instances.',
    ],
  },
  /** Of a template: the names of the instances that a folder wants. */
  Instances: {
    field: 'instances',
    read: readInstances,
    effect: 'folder',
    manual: [
      '3',
      'Of a template: its instances in a folder, as a number (1, 2 and 3) or as names (`Instances=blue green`).',
    ],
  },
  /** How many of its copies, or of the instances of a template, a new text may keep down at once; undefined for one. */
  MaxParallel: {
    field: 'maxParallel',
    read: readCopyLimit,
    effect: 'none',
    manual: [
      '25%',
      'How many copies of a global unit, or instances of a template, may be down at once while they get a new text: a number, or a percentage of the copies (rounded down, at least 1). Default: 1. See [updates](updates.md).',
    ],
  },
  /** How long it has to stay in one run to be healthy, in ms. */
  HealthyFor: {
    field: 'healthyForMs',
    read: readTime,
    effect: 'none',
    manual: [
      '10s',
      'How long a started unit has to stay in one run before it counts as up. Default: `settle` of `fleet.conf`.',
    ],
  },
  /** A shell command that has to succeed on its machine. */
  HealthExec: {
    field: 'healthExec',
    read: readCommand,
    effect: 'none',
    manual: [
      'curl -fsS localhost:%i',
      'A shell command that has to succeed on the machine after a start. It runs as a transient unit with the user and group of the unit, and is repeated until it succeeds or `HealthyWithin=` is over.',
    ],
  },
  /** The limit for that command with its repetitions, in ms. */
  HealthyWithin: {
    field: 'healthyWithinMs',
    read: readTime,
    effect: 'none',
    manual: ['30s', 'The limit for `HealthExec=`. Default: 30 seconds.'],
  },
  /** What happens after a new text has failed; undefined for `stop`. */
  OnFailedUpdate: {
    field: 'onFailedUpdate',
    read: readFailurePolicy,
    effect: 'none',
    manual: [
      'stop',
      'What happens after a new text has failed: `stop` leaves the failed copy as it is, `revert` restores the old text. Default: `stop`.',
    ],
  },
  /** How long a machine waits for the confirmation of a new text before it reverts it, in ms; undefined if none is needed. */
  Confirm: {
    field: 'confirmMs',
    read: readConfirm,
    effect: 'none',
    manual: [
      '30s',
      'A start has to be confirmed over a new login within that time (5 s to 1 h, and longer than `HealthyFor=` and `HealthyWithin=`), or the machine restores the old text; see [updates](updates.md).',
    ],
  },
} as const satisfies Readonly<Record<string, Option>>;

type FleetOption = keyof typeof OPTIONS;

const NAMES = Object.keys(OPTIONS) as readonly FleetOption[];

/** Each option with its properties. */
export const FLEET_OPTIONS = NAMES.map((name) => ({ name, ...OPTIONS[name] }));

/** The options of a unit's `[X-Fleet]` section, specifiers expanded. */
export type Placement = {
  readonly [Name in FleetOption as (typeof OPTIONS)[Name]['field']]: ReturnType<
    (typeof OPTIONS)[Name]['read']
  >;
};

/**
 * Reads the `[X-Fleet]` section of a unit. Repeated options add up; of those with one value the last
 * one counts.
 * In a template, values that depend on the instance are left out.
 * @throws FleetError `placement`, with the line, also for mistakes that CoreOS fleet ignores
 */
export function parsePlacement(file: UnitFile, name: UnitName): Placement {
  const section = readFleetSection(file, name, NAMES);
  if (section.size === 0) return UNPLACED;
  const given = NAMES.filter((option) => section.has(option));
  const placement = { ...UNPLACED, ...fieldsOf(given, section, file) };
  checkTogether(placement, section);
  return placement;
}

/** The placement of a unit without options. */
const UNPLACED = fieldsOf(NAMES, new Map(), { text: '', options: [] }) as Placement;

function fieldsOf(
  options: readonly FleetOption[],
  section: FleetSection,
  file: UnitFile,
): Partial<Placement> {
  const fields = options.map((option) => {
    const { field, read } = OPTIONS[option];
    return [field, read(section.get(option) ?? [], file)];
  });
  return Object.fromEntries(fields);
}

const MACHINE_ID = /^([\da-f]{8}|[\da-f]{32}|[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12})$/i;

/** The machine id, without dashes and in lower case. If one word abbreviates the other, the longer one counts. */
function readMachineId(words: readonly Word[]): string | undefined {
  let id = '';
  for (const word of words) {
    if (!MACHINE_ID.test(word.text)) {
      throw wordError(
        word,
        'is not a machine id',
        'Give the 32 hex digits of /etc/machine-id, or the first eight',
      );
    }
    const next = word.text.replaceAll('-', '').toLowerCase();
    if (!id.startsWith(next) && !next.startsWith(id)) {
      throw wordError(
        word,
        `names another machine than ${quoted(id)}`,
        'A unit runs on one machine: keep one of them',
      );
    }
    if (next.length > id.length) id = next;
  }
  return id === '' ? undefined : id;
}

function readMetadata(words: readonly Word[]): Readonly<Record<string, readonly string[]>> {
  const metadata = new Map<string, Set<string>>();
  for (const word of words) {
    const [, key, value] = /^([^\s=]+)=([^\s=](?:[^=]*[^\s=])?)$/.exec(word.text) ?? [];
    if (key === undefined || value === undefined) {
      throw wordError(
        word,
        'is not key=value',
        'Write MachineMetadata=role=web, with quotes around it if it has blanks',
      );
    }
    metadata.set(key, (metadata.get(key) ?? new Set()).add(value));
  }
  return Object.fromEntries([...metadata].map(([key, values]) => [key, [...values]]));
}

/** The full name of another unit that can run. */
function readOtherUnit(word: Word): string {
  const unit = readRunnable(word);
  if (unit.text === word.unit.text) throw wordError(word, 'is the unit itself', 'Name another unit');
  return unit.text;
}

/** A glob unchanged, or a full unit name. */
function readConflict(word: Word): string {
  const problem = globProblem(word.text);
  if (problem !== undefined)
    throw wordError(word, `is not a glob, ${problem}`, 'Write it as web@*.service or web-[0-9].service');
  return isGlob(word.text) ? word.text : readRunnable(word).text;
}

/** A unit name, with its suffix. A template never runs, so naming one is always a mistake. */
function readRunnable(word: Word): UnitName {
  const problem = unitNameProblem(word.text);
  if (problem !== undefined)
    throw wordError(word, `is not a unit name, ${problem}`, 'Name a unit, as in web.service');
  const unit = parseUnitName(word.text);
  if (!isTemplate(unit)) return unit;
  const { prefix, type } = unit;
  const hint = `Name an instance, as in ${prefix}@1.${type}; Conflicts takes ${prefix}@*.${type} for all of them`;
  throw wordError(word, 'names a template, which never runs itself', hint);
}

function readFenced(words: readonly Word[], file: UnitFile): Fence | undefined {
  const last = words.at(-1);
  return readBoolean(words) && last !== undefined ? readFence(file, last) : undefined;
}

/** The last of the words; false without one. */
function readBoolean(words: readonly Word[]): boolean {
  const values = words.map((word) => {
    if (isTrue(word.text)) return true;
    if (/^(0|no|n|false|f|off)$/i.test(word.text)) return false;
    throw wordError(word, 'is neither true nor false', 'Write true or false (or yes, no, on, off, 1, 0)');
  });
  return values.at(-1) ?? false;
}

function readTarget(words: readonly Word[]): Target | undefined {
  const values = words.map((word) => {
    const target = TARGETS.find((each) => each === word.text);
    if (target !== undefined) return target;
    throw wordError(word, 'is not a target state', `Write ${TARGETS.join(', ')}`);
  });
  return values.at(-1);
}

const TARGETS = ['launched', 'loaded', 'inactive'] as const;
type Target = (typeof TARGETS)[number];

/** The limit of instances, against a number with a digit too many. */
const MOST_INSTANCES = 1000;

/** `Instances=3` means 1, 2 and 3; any other value has the names. */
function readInstances(words: readonly Word[]): readonly string[] {
  const [first] = words;
  if (first === undefined) return [];
  if (first.unit.instance === undefined)
    throw wordError(first, 'is for templates', `Rename the unit: ${first.unit.prefix}@.${first.unit.type}`);
  if (words.length === 1 && /^\d+$/.test(first.text)) {
    const count = Number(first.text);
    if (count > MOST_INSTANCES)
      throw wordError(first, 'is too large', `A template has at most ${MOST_INSTANCES} instances`);
    return Array.from({ length: count }, (_, index) => String(index + 1));
  }
  for (const word of words) {
    const { prefix, type } = word.unit;
    if (unitNameProblem(`${prefix}@${word.text}.${type}`) !== undefined)
      throw wordError(
        word,
        'is not the name of an instance',
        'Write a number, or names: Instances=blue green',
      );
  }
  return [...new Set(words.map(({ text }) => text))];
}

/** Rejects options that contradict each other, among them the combinations that CoreOS fleet rejects. */
function checkTogether(placement: Placement, section: FleetSection): void {
  const words = (option: FleetOption): readonly Word[] => section.get(option) ?? [];
  const single = [...words('MachineID'), ...words('MachineOf'), ...words('Replaces')][0];
  if (placement.global && single !== undefined) {
    throw wordError(
      single,
      'cannot be used with Global',
      'A global unit runs on all machines that MachineMetadata allows',
    );
  }
  const fenced = words('Fenced').at(-1);
  if (placement.global && placement.fence !== undefined && fenced !== undefined) {
    throw wordError(fenced, 'cannot be used with Global', 'A global unit has a copy on every machine');
  }
  const replaced = words('Replaces')[0];
  if (placement.conflicts.length > 0 && replaced !== undefined) {
    throw wordError(replaced, 'cannot be used with Conflicts', 'Remove one of them');
  }
  for (const [option, ms] of [
    ['HealthyFor', placement.healthyForMs],
    ['HealthyWithin', placement.healthyWithinMs],
  ] as const) {
    const word = words(option).at(-1);
    if (word === undefined || ms === undefined || ms < (placement.confirmMs ?? Number.POSITIVE_INFINITY))
      continue;
    throw wordError(
      word,
      'is not shorter than Confirm',
      'The unit is healthy too late for its confirmation: give Confirm more time',
    );
  }
  for (const word of words('MachineOf')) {
    const conflict = placement.conflicts.find((glob) => matchesGlob(glob, parseUnitName(word.text).text));
    if (conflict === undefined) continue;
    throw wordError(word, `contradicts the unit's own Conflicts ${quoted(conflict)}`, 'Remove one of them');
  }
}
