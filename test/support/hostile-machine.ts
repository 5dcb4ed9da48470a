import { deferred } from '../../src/base/async.ts';
import { LIMITS } from '../../src/machine/limits.ts';
import type { RemoteExit, RemoteProcess, Transport } from '../../src/ssh/transport.ts';
import type { Section } from '../../src/systemd/frame.ts';
import { MACHINE_ID } from './local-machine.ts';
import { scriptIn } from './local-shell.ts';
import { pick } from './random.ts';

/** The two output streams of a command on a hostile machine. */
export type Wire = {
  /** Resolves when the other side accepts more. */
  stdout(bytes: Uint8Array): Promise<void>;
  stderr(bytes: Uint8Array): Promise<void>;
  /** Whether the other side has closed the channel. */
  readonly isClosed: boolean;
  /** Resolves after the time in which another query would have arrived. */
  rest?(): Promise<void>;
};

/** A script that needs an answer: its name, its text, and the marker of its frames. */
export type Question = { readonly name: string; readonly text: string; readonly marker: string };

/** Replaces the script on a hostile machine, like a `ForceCommand` that knows the protocol. */
export type Attack = (question: Question, wire: Wire) => Promise<void>;

export type Forged = { readonly stdout: Buffer; readonly stderr: Buffer };

/** Reads the input of a command, and answers every script in it with the attack. */
export class HostileShell {
  readonly #attack: () => Attack;
  readonly #wire: Wire;
  #text = '';
  #marker: string | undefined;
  #last: Promise<void> = Promise.resolve();
  #asked = 0;
  readonly #onIdle: () => void;

  /** `onIdle` is called when no query follows an answer. */
  constructor(command: string, wire: Wire, attack: () => Attack, onIdle: () => void = () => undefined) {
    this.#attack = attack;
    this.#wire = wire;
    this.#onIdle = onIdle;
    this.take(scriptIn(command));
  }

  take(input: string): void {
    this.#text += input;
    this.#marker ??= /(?:^|\n)M='?([0-9a-f]{32})/.exec(this.#text)?.[1];
    for (;;) {
      const match = /\n(\w+); leave; step end :\n|\nread_journal .*; exit\n/.exec(this.#text);
      if (match === null || this.#marker === undefined) return;
      const question = {
        name: match[1] ?? 'journal',
        text: this.#text.slice(0, match.index),
        marker: this.#marker,
      };
      this.#text = this.#text.slice(match.index + match[0].length);
      this.#asked++;
      this.#last = this.#last.then(() => this.#answer(question)).catch(() => undefined);
    }
  }

  async #answer(question: Question): Promise<void> {
    const asked = this.#asked;
    await this.#attack()(question, this.#wire);
    await this.#wire.rest?.();
    if (this.#asked === asked) this.#onIdle();
  }
}

/** A transport to a hostile machine in this process. */
export class HostileTransport implements Transport {
  attack: Attack;
  /** Bytes that were received from it, and the number of open channels. */
  taken = 0;
  open = 0;
  readonly #endsWhenIdle: boolean;

  /** With `endsWhenIdle`, the command ends after an incomplete answer, so that no test waits for a deadline. */
  constructor(attack: Attack, { endsWhenIdle = false } = {}) {
    this.attack = attack;
    this.#endsWhenIdle = endsWhenIdle;
  }

  fresh(): this {
    return this;
  }

  async exec(_target: unknown, command: string): Promise<RemoteProcess> {
    const exit = deferred<RemoteExit>();
    const listeners = {
      out: deferred<(chunk: Buffer) => unknown>(),
      err: deferred<(chunk: Buffer) => unknown>(),
    };
    let isClosed = false;
    const close = (): void => {
      if (!isClosed) this.open--;
      isClosed = true;
      exit.resolve({ status: 0 });
    };
    const send = async (to: 'out' | 'err', bytes: Uint8Array): Promise<void> => {
      const listener = await listeners[to].promise;
      if (isClosed) return;
      this.taken += bytes.length;
      await listener(Buffer.from(bytes));
      // The other side may be waiting for the event loop.
      if (bytes.length > 10_000) await new Promise((resolve) => setImmediate(resolve));
    };
    const wire: Wire = {
      stdout: (bytes) => send('out', bytes),
      stderr: (bytes) => send('err', bytes),
      get isClosed() {
        return isClosed;
      },
      rest: async () => {
        for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
      },
    };
    this.open++;
    const onIdle = this.#endsWhenIdle ? close : undefined;
    const shell = new HostileShell(command, wire, () => this.attack, onIdle);
    return {
      write: (data) => shell.take(String(data)),
      end: close,
      close,
      onStdout: listeners.out.resolve,
      onStderr: listeners.err.resolve,
      exit: exit.promise,
    };
  }

  async close(): Promise<void> {
    // There is nothing to close.
  }
}

/** An attack that sends one forged answer. */
export function answers(forge: (question: Question) => Forged): Attack {
  return async (question, wire) => {
    const { stdout, stderr } = forge(question);
    await wire.stderr(stderr);
    await wire.stdout(stdout);
  };
}

/** The answer of a working machine with these units. */
export function honest(units: readonly string[] = ['a.service'], id = MACHINE_ID): Attack {
  return answers((question) => print(sectionsFor(question, units, id), question.marker));
}

/** The output of a script with these sections and the final one. */
export function print(sections: readonly Section[], marker: string): Forged {
  const all = [...sections, { name: 'end', status: 0, stdout: '', stderr: '' }];
  const stdout = all.map(
    ({ name, status, stdout: text }) => `${marker} ${name} ${status} ${Buffer.byteLength(text)}\n${text}`,
  );
  const stderr = all.map(({ stderr: text }) => `${text}\n${marker}\n`);
  return { stdout: Buffer.from(stdout.join('')), stderr: Buffer.from(stderr.join('')) };
}

/** The sections that a script requests, from an honest machine with these units. */
export function sectionsFor(
  { name, text }: Question,
  units: readonly string[],
  id = MACHINE_ID,
): readonly Section[] {
  const section = (called: string, lines: readonly string[] = []): Section => ({
    name: called,
    status: 0,
    stdout: lines.join('\n'),
    stderr: '',
  });
  const asks = (called: string): boolean =>
    text.includes(`section ${called} `) || text.endsWith(`section ${called}`);
  const shown = section('units', units.map(blockOf));
  if (name === 'showing') return [shown];
  if (name === 'extension') return [section('extend')];
  if (name === 'statuses')
    return [...text.matchAll(/section (status:\d+) /g)].map(([, called = '']) =>
      section(called, ['● a.service']),
    );
  if (name === 'examination')
    return [
      section('identity', ['0', id]),
      section('facts', factsOf(id)),
      section('systemd', ['systemd 252 (252)']),
      section('state', ['running']),
      section('folder'),
      section('folder'),
      section('folder'),
      section('absent'),
      section('broken'),
      section('clock', ['1795414339']),
      section('space', ['1000000 100000 /etc']),
      section('journal'),
      section('containers'),
      section('units', units.map(blockOf)),
    ];
  if (name !== 'observe') return [];
  return [
    section('facts', factsOf(id)),
    ...(asks('vitals')
      ? [section('vitals', ['load 0.10 0.20 0.30', 'memory 4096 1024', 'systemd 252'])]
      : []),
    section('records', units.map(recordOf)),
    section('recorded', [units.join(' ')]),
    section(
      'digests',
      units.map((unit) => `${'d'.repeat(64)}  ${unit}`),
    ),
    section(
      'links',
      units.map((unit) => `fleet.target.wants/${unit}`),
    ),
    ...(asks('texts')
      ? [
          section(
            'texts',
            units.map((unit) => `${unit} W1VuaXRdCg==`),
          ),
        ]
      : []),
    ...(asks('tokens') ? [section('tokens', units.map(recordOf))] : []),
    section('found'),
    ...(asks('listed')
      ? [
          section(
            'listed',
            units.map((unit) => `${unit} loaded active running ${unit}`),
          ),
          section(
            'invocations',
            units.map((unit) => `invocation:${unit} '${unit}' -> '${'1'.repeat(32)}'`),
          ),
        ]
      : [shown]),
  ];
}

function factsOf(id: string): readonly string[] {
  return [`machine-id ${id}`, 'boot-id b0b0', 'uptime 1234.50', 'clock 1795414339'];
}

function recordOf(unit: string): string {
  return `unit=${unit}\ntoken=1\nhash=${'a'.repeat(40)}\ndigest=${'d'.repeat(64)}\ntarget=launched\n`;
}

function blockOf(unit: string): string {
  const properties = {
    Id: unit,
    Names: unit,
    LoadState: 'loaded',
    ActiveState: 'active',
    SubState: 'running',
    Type: 'simple',
    Result: 'success',
    ExecMainStatus: '0',
    ExecMainCode: '0',
    NRestarts: '0',
    InvocationID: '1'.repeat(32),
    FragmentPath: `/etc/systemd/system/${unit}`,
    ActiveEnterTimestamp: 'Mon 2026-11-23 06:05:41 UTC',
    StateChangeTimestamp: 'Mon 2026-11-23 06:05:41 UTC',
    MemoryCurrent: '1048576',
    CPUUsageNSec: '1000000',
  };
  return `${Object.entries(properties)
    .map(([key, value]) => `${key}=${value}`)
    .join('\n')}\n\n`;
}

const MIB = 1024 * 1024;

/** Sends the same bytes until the channel is closed. */
function endless(to: 'stdout' | 'stderr', bytes: Uint8Array, first?: (question: Question) => Forged): Attack {
  return async (question, wire) => {
    const start = first?.(question);
    if (start !== undefined) {
      await wire.stderr(start.stderr);
      await wire.stdout(start.stdout);
    }
    while (!wire.isClosed) await wire[to](bytes);
  };
}

const FILL = Buffer.alloc(64 * 1024, 'x');
const LINES = Buffer.alloc(64 * 1024, '\n');
const NONE = Buffer.alloc(0);

/** Attacks that exceed a limit, by description. */
export const FLOODS: Readonly<Record<string, Attack>> = {
  'a frame of 999999999999 bytes, and endless data': endless('stdout', FILL, ({ marker }) => ({
    stdout: Buffer.from(`${marker} facts 0 999999999999\n`),
    stderr: NONE,
  })),
  'a frame with a size of 250 digits': endless('stdout', FILL, ({ marker }) => ({
    stdout: Buffer.from(`${marker} facts 0 ${'9'.repeat(250)}\n`),
    stderr: NONE,
  })),
  'endless output without a frame': endless('stdout', FILL),
  'endless empty lines': endless('stdout', LINES),
  'endless output on standard error': endless('stderr', FILL),
  'a section of endless lines': endless('stdout', LINES, ({ marker }) => ({
    stdout: Buffer.from(`${marker} facts 0 ${LIMITS.answer.most - 1000}\n`),
    stderr: NONE,
  })),
  'millions of tiny sections': async ({ marker }, wire) => {
    const sections = Buffer.from(`${marker} a 0 0\n`.repeat(1000));
    const ends = Buffer.from(`\n${marker}\n`.repeat(1000));
    while (!wire.isClosed) {
      await wire.stdout(sections);
      await wire.stderr(ends);
    }
  },
  'millions of ends of sections': async ({ marker }, wire) => {
    const ends = Buffer.from(`\n${marker}\n`.repeat(1000));
    while (!wire.isClosed) await wire.stderr(ends);
  },
  '200,000 added units': async ({ marker }, wire) => {
    await wire.stdout(Buffer.from(`${marker} records 0 ${200_000 * recordOf('u100000.service').length}\n`));
    for (let unit = 100_000; unit < 300_000 && !wire.isClosed; unit += 100)
      await wire.stdout(Buffer.from(recordOf(`u${unit}.service`).repeat(100)));
  },
  '20,000 added units': answers((question) => {
    const names = Array.from({ length: 20_000 }, (_, index) => `u${index}.service`);
    const sections = sectionsFor(question, []).map((section) =>
      section.name === 'records' ? { ...section, stdout: names.map(recordOf).join('') } : section,
    );
    return print(sections, question.marker);
  }),
  'names without end': answers((question) => {
    const names = `Id=a.service\nNames=${'a.service '.repeat(600_000)}\n\n`;
    const sections = sectionsFor(question, ['a.service']).map((section) =>
      section.name === 'units' ? { ...section, stdout: names } : section,
    );
    return print([...sections, { name: 'units', status: 0, stdout: names, stderr: '' }], question.marker);
  }),
};

/** Values that neither systemd nor fleet writes: description, original and replacement. Each makes an answer unusable. */
export const LIES: readonly (readonly [string, string | RegExp, string])[] = [
  [
    'a date that does not exist',
    'ActiveEnterTimestamp=Mon 2026-11-23',
    'ActiveEnterTimestamp=Mon 9999-99-99',
  ],
  ['a record with a path', 'unit=a.service', 'unit=../../etc/x.service'],
  ['a token above the exact integers', 'token=1\n', 'token=9007199254740993\n'],
  ['a token of 23 digits', 'token=1\n', 'token=99999999999999999999999\n'],
  [
    'infinite memory',
    /memory 4096 1024|MemoryCurrent=1048576/,
    'MemoryCurrent=Infinity\nmemory Infinity Infinity',
  ],
  ['negative memory', /memory 4096 1024|MemoryCurrent=1048576/, 'MemoryCurrent=-1024\nmemory -1 -1'],
  ['an uptime of 1e308 seconds', 'uptime 1234.50', 'uptime 1e308'],
  ['no uptime', 'uptime 1234.50\n', ''],
  ['a boot id with escape sequences', 'boot-id b0b0', 'boot-id \u001b[2J'],
  ['a cluster id with escape sequences', 'boot-id b0b0', 'boot-id b0b0\ncluster \u001b]0;x\u0007'],
  ['a state with escape sequences', 'SubState=running', 'SubState=\u001b[31mrunning'],
];

/** The honest answer with one replaced value. */
export function lying(from: string | RegExp, to: string, units: readonly string[] = ['a.service']): Attack {
  return answers((question) =>
    print(
      sectionsFor(question, units).map((section) => ({
        ...section,
        stdout: section.stdout.replace(from, to),
      })),
      question.marker,
    ),
  );
}

const NASTY = [
  '',
  '-1',
  '0',
  '1e308',
  'Infinity',
  'NaN',
  '9'.repeat(30),
  '../../etc/x',
  'a.service',
  '@.service',
  '.service',
  '\u001b[2J\u0007',
  '\r',
  '\u202e',
  '\u200b',
  '\u0000',
  '\ufffd',
  'x'.repeat(70_000),
  '='.repeat(50),
  'Mon 9999-99-99 99:99:99 UTC',
  '18446744073709551615',
  'unit=',
  'Id=',
  '\n\n',
  '__proto__',
  'constructor',
];

/** A seeded attack on a frame, a field or a byte of an honest answer. */
export function fuzzed(
  random: () => number,
  units: readonly string[] = ['a.service', 'web@1.service'],
): Attack {
  return answers((question) => {
    const sections = [...sectionsFor(question, units)];
    const kind = random();
    if (kind < 0.3) return fuzzBytes(print(sections, question.marker), random);
    if (kind < 0.5) return fuzzFrames(sections, question.marker, random);
    return print(
      sections.map((section) => fuzzFields(section, random)),
      question.marker,
    );
  });
}

/** Replaces a field in about a third of the sections. */
function fuzzFields(section: Section, random: () => number): Section {
  if (random() < 0.7) return section;
  if (random() < 0.1) return { ...section, status: Math.floor(random() * 256), stderr: pick(random, NASTY) };
  const fields = section.stdout.split(/(?<=[\n= ])|(?=\n)/);
  const at = Math.floor(random() * fields.length);
  return { ...section, stdout: fields.with(at, pick(random, NASTY)).join('') };
}

/** Removes, duplicates, reorders, renames or resizes frames. */
function fuzzFrames(sections: Section[], marker: string, random: () => number): Forged {
  const at = Math.floor(random() * Math.max(1, sections.length));
  const section = sections[at];
  if (section === undefined) return print([], marker);
  const way = Math.floor(random() * 5);
  if (way === 0) return print(sections.toSpliced(at, 1), marker);
  if (way === 1) return print([...sections, section], marker);
  if (way === 2) return print(sections.toReversed(), marker);
  if (way === 3)
    return print(
      sections.with(at, { ...section, name: pick(random, ['end', 'added', 'x', 'listed']) }),
      marker,
    );
  const forged = print(sections, marker);
  const size = ` ${Buffer.byteLength(section.stdout)}\n`;
  const other = ` ${pick(random, ['0', '1', '7', '4096', '8388608', '999999999999'])}\n`;
  return { ...forged, stdout: Buffer.from(String(forged.stdout).replace(size, other)) };
}

/** Changes, inserts or removes a byte of a stream, or truncates it. */
function fuzzBytes({ stdout, stderr }: Forged, random: () => number): Forged {
  const change = (bytes: Buffer): Buffer => {
    const at = Math.floor(random() * bytes.length);
    const byte = Buffer.from([Math.floor(random() * 256)]);
    const way = Math.floor(random() * 4);
    if (way === 0) return bytes.subarray(0, at);
    const end = way === 1 ? at : at + 1;
    return Buffer.concat([bytes.subarray(0, at), way === 2 ? NONE : byte, bytes.subarray(end)]);
  };
  return random() < 0.8 ? { stdout: change(stdout), stderr } : { stdout, stderr: change(stderr) };
}

/** The most bytes that are received of an endless answer: the limit, and the bytes in transit. */
export const MAX_RECEIVED = LIMITS.answer.most + 2 * MIB;
