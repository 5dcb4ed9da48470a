import { compareText } from '../base/compare.ts';
import type { LogEntry } from '../cluster/logged-event.ts';
import type { Cordon, DesiredUnit, Token } from '../cluster/snapshot.ts';
import type { MachineId } from '../machine/machine-id.ts';
import type { Change, StoreRecord } from '../store/store.ts';
import { readDependencies } from '../unit/dependencies.ts';
import { parsePlacement } from '../unit/placement.ts';
import { triggeredUnit } from '../unit/trigger.ts';
import { parseUnitFile } from '../unit/unit-file.ts';
import { parseUnitName } from '../unit/unit-name.ts';
import { corrupt, type Document, type DocumentKind, readDocument } from './documents.ts';

/** What the registry remembers of a machine between commands. */
export type KnownMachine = {
  readonly id: MachineId | undefined;
  readonly silentSince: number | undefined;
  readonly backSince: number | undefined;
  /** Which units the machine takes no more of; undefined when it takes all. */
  readonly cordon: Cordon | undefined;
};

/** What is known of a machine that nothing is known of. */
export const UNKNOWN_MACHINE: KnownMachine = {
  id: undefined,
  silentSince: undefined,
  backSince: undefined,
  cordon: undefined,
};

/** One text a unit name has had. `at` is epoch ms, `by` the person, as `user@host`. */
export type HistoryEntry = Document<'history/'>['entries'][number];

/** Whether a text came up when it was started last. `at` is epoch ms. */
export type Verdict = NonNullable<Document<'history/'>['verdicts']>[string];

/** The registry as it stood at one revision. */
export class RegistryView {
  readonly revision: number;
  readonly #records: ReadonlyMap<string, StoreRecord>;
  #units: ReadonlyMap<string, DesiredUnit> | undefined;
  #machines: ReadonlyMap<string, KnownMachine> | undefined;

  constructor(revision: number, records: readonly StoreRecord[]) {
    this.revision = revision;
    this.#records = new Map(records.map((record) => [record.key, record]));
  }

  /** Undefined until something is first stored. */
  get clusterId(): string | undefined {
    return this.#read('cluster', 'cluster')?.id;
  }

  /** The names of all units, in their order; their documents are not read. */
  get unitNames(): readonly string[] {
    return this.#keys('units/');
  }

  /** The token of a decision that rests on this view. */
  get token(): Token {
    return this.revision + this.#tokenBase;
  }

  get #tokenBase(): number {
    return this.#read('cluster', 'cluster')?.tokenBase ?? 0;
  }

  /** Every unit, by name, in the order of names. */
  get units(): ReadonlyMap<string, DesiredUnit> {
    const base = this.#tokenBase;
    this.#units ??= new Map(this.unitNames.map((name) => [name, this.#unit(name, base)]));
    return this.#units;
  }

  /** What is known of machines, by their names in fleet.conf. */
  get machines(): ReadonlyMap<string, KnownMachine> {
    this.#machines ??= new Map(
      this.#keys('machines/').map((name) => {
        const { id, silentSince, backSince, cordon } = this.#must('machines/', `machines/${name}`);
        return [name, { id, silentSince, backSince, cordon }];
      }),
    );
    return this.#machines;
  }

  /** The texts a name has had, oldest first. */
  history(name: string): readonly HistoryEntry[] {
    return this.#read('history/', `history/${name}`)?.entries ?? [];
  }

  /** By digest, what is known of the texts a name has had; nothing of one that was never started. */
  verdicts(name: string): Readonly<Record<string, Verdict>> {
    return this.#read('history/', `history/${name}`)?.verdicts ?? {};
  }

  /** The keys of {@link events}, oldest first. */
  get eventKeys(): readonly string[] {
    return this.#keys('events/');
  }

  /** What was decided lately, oldest first, each under its key. */
  get events(): readonly (LogEntry & { readonly key: string })[] {
    return this.eventKeys.map((key) => {
      const { at, by, events } = this.#must('events/', `events/${key}`);
      // One that is newer than this program is told as it stands.
      return { key, at, by, events: events as unknown as LogEntry['events'] };
    });
  }

  /** The text with that SHA-256, which a unit or a history entry names. */
  text(digest: string): string {
    return this.#must('contents/', `contents/${digest}`).text;
  }

  /** The revision at which a key last changed, 0 when it does not exist. */
  revisionOf(key: string): number {
    return this.#records.get(key)?.revision ?? 0;
  }

  /** This view as a commit of `changes` leaves it. */
  after(changes: readonly Change[], revision: number): RegistryView {
    const records = new Map(this.#records);
    for (const change of changes) {
      if (change.kind === 'put') records.set(change.key, { key: change.key, value: change.value, revision });
      if (change.kind === 'delete') records.delete(change.key);
    }
    return new RegistryView(
      revision,
      [...records.values()].toSorted((a, b) => compareText(a.key, b.key)),
    );
  }

  #keys(prefix: 'units/' | 'machines/' | 'events/'): readonly string[] {
    const keys = [...this.#records.keys()].filter((key) => key.startsWith(prefix));
    return keys.map((key) => key.slice(prefix.length));
  }

  #unit(name: string, tokenBase: number): DesiredUnit {
    const key = `units/${name}`;
    const { digest, hash, target, machine, fromTemplate } = this.#must('units/', key);
    const text = this.text(digest);
    const unitName = parseUnitName(name);
    const file = parseUnitFile(text, name);
    const placement = parsePlacement(file, unitName);
    const triggers = triggeredUnit(file, unitName);
    const token = this.revisionOf(key) + tokenBase;
    const dependencies = readDependencies(file, unitName);
    return {
      name,
      text,
      hash,
      digest,
      placement,
      triggers,
      dependencies,
      target,
      machine,
      fromTemplate,
      token,
    };
  }

  #must<K extends DocumentKind>(kind: K, key: string): Document<K> {
    const document = this.#read(kind, key);
    if (document === undefined) throw corrupt(key, 'it is missing');
    return document;
  }

  #read<K extends DocumentKind>(kind: K, key: string): Document<K> | undefined {
    const record = this.#records.get(key);
    return record === undefined ? undefined : readDocument(kind, key, record.value);
  }
}
