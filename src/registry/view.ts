import { FleetError, isFleetError } from '../base/errors.ts';
import { sha256 } from '../base/hash.ts';
import { LazyMap } from '../base/lazy-map.ts';
import {
  type Aliases,
  aliasesOf,
  namesUnits,
  withoutAliases,
  withUnitNames,
} from '../cluster/dependencies.ts';
import type { LogEntry } from '../cluster/logged-event.ts';
import type { DesiredUnit, Held, Token } from '../cluster/snapshot.ts';
import type { MachineId } from '../machine/machine.ts';
import { withChanges } from '../store/snapshot.ts';
import type { Change, StoreRecord } from '../store/store.ts';
import { type Dependency, readDependencies } from '../unit/dependencies.ts';
import { parseUnitFile, type UnitFile } from '../unit/unit-file.ts';
import { isTemplateName, parseUnitName, partsOf, storedNameProblem } from '../unit/unit-name.ts';
import { corrupt, type Document, type DocumentKind, readDocument, sortEventKeys } from './documents.ts';
import { type KnownMachine, type RemovedMachine, type StoredUnit, UNKNOWN_MACHINE } from './edit.ts';
import { Part } from './part.ts';
import { notConfirmed, readable, readText } from './read-text.ts';

/** One text of a unit name. `at` is epoch ms, `by` the author, as `user@host`. */
export type HistoryEntry = Document<'history/'>['entries'][number];

/** The result of the last start of a text. `at` is epoch ms. */
export type Verdict = NonNullable<Document<'history/'>['verdicts']>[string];

/** A unit in the registry, with the aliases of its text. */
type KnownUnit =
  | { readonly kind: 'unit'; readonly unit: DesiredUnit }
  | { readonly kind: 'unreadable'; readonly error: FleetError }
  | { readonly kind: 'unconfirmed'; readonly unit: StoredUnit; readonly error: FleetError };

/**
 * The unit of a record, and the text and the base of tokens that it was read with. Later views have the same records of units that
 * did not change.
 */
const unitsOfRecords = new WeakMap<
  StoreRecord,
  { readonly unit: DesiredUnit; readonly content: StoreRecord | undefined; readonly base: number }
>();

/**
 * The registry at one revision. A document is parsed when it is needed. A view that has only a part of the registry throws
 * `Unread` for the rest; see `Registry.read`.
 */
export class RegistryView {
  /** All readable units, by name, sorted by name. */
  readonly units: ReadonlyMap<string, DesiredUnit>;
  /**
   * The errors of the other units, by name: written by a newer fleet, damaged, or unconfirmed. The target state of such a
   * unit is unknown.
   */
  readonly unreadable: ReadonlyMap<string, FleetError>;
  /** The units among {@link unreadable} that an operator has to accept; see `fleetctl recover`. */
  readonly unconfirmed: ReadonlyMap<string, StoredUnit>;
  readonly #part: Part;
  readonly #known: LazyMap<KnownUnit>;
  readonly #histories: LazyMap<Document<'history/'>>;
  /** By digest: the instances of a template share one. */
  readonly #texts = new Map<string, string>();
  /** The text that was parsed last: instances of a template are adjacent. */
  #parsed: { readonly digest: string; readonly file: UnitFile } | undefined;
  #base: number | undefined;
  #all: readonly DesiredUnit[] | undefined;
  #aliases: Aliases | undefined;
  #asWritten: RegistryView | undefined;
  #events: readonly (LogEntry & { readonly key: string })[] | undefined;
  #machines: ReadonlyMap<string, KnownMachine> | undefined;
  #removed: ReadonlyMap<string, RemovedMachine> | undefined;

  /** `records` are those below `prefixes`, all by default, sorted by key, as stores return them. */
  constructor(
    revision: number,
    records: readonly StoreRecord[],
    prefixes: Iterable<string> = [''],
    names: 'with aliases replaced' | 'as written' = 'with aliases replaced',
  ) {
    this.#part = new Part({ revision, records }, prefixes);
    const all = (): readonly string[] => this.unitNames;
    this.#known = new LazyMap(all, (name) => this.#readUnit(name));
    this.#histories = new LazyMap(all, (name) => this.#read('history/', `history/${name}`));
    const over = <T>(make: (found: KnownUnit) => T | undefined): LazyMap<T> =>
      new LazyMap(
        () => [...this.#known.keys()],
        (name) => {
          const found = this.#known.get(name);
          return found === undefined ? undefined : make(found);
        },
      );
    this.units = over((found) => {
      if (found.kind !== 'unit') return undefined;
      const isDone = names === 'as written' || !namesUnits(found.unit);
      return isDone ? found.unit : withoutAliases(found.unit, this.#aliasesOfUnits);
    });
    this.unreadable = over((found) => (found.kind === 'unit' ? undefined : found.error));
    this.unconfirmed = over((found) => (found.kind === 'unconfirmed' ? found.unit : undefined));
  }

  /** The revision of the store. */
  get revision(): number {
    this.#part.need('cluster');
    return this.#part.snapshot.revision;
  }

  /** Whether it was made of these records, which a store returns again as long as nothing has changed. */
  isOf(records: readonly StoreRecord[]): boolean {
    return this.#part.snapshot.records === records;
  }

  get isWhole(): boolean {
    return this.#part.prefixes.has('');
  }

  /** This view. Throws `Unread` unless it has the whole registry. */
  get whole(): RegistryView {
    this.#part.need('');
    return this;
  }

  /** The same view, in which {@link units} name others as their texts do, so that the texts of others are not needed. */
  get asWritten(): RegistryView {
    const { snapshot, prefixes } = this.#part;
    this.#asWritten ??= new RegistryView(snapshot.revision, snapshot.records, prefixes, 'as written');
    return this.#asWritten;
  }

  /** Throws `Unread` for all of these beginnings of keys that were not read: one by one, each would take a round trip. */
  need(...prefixes: readonly string[]): void {
    this.#part.need(...prefixes);
  }

  /** {@link need} for the documents and the texts of units. */
  needUnits(names: readonly string[]): void {
    this.need(...names.map((name) => `units/${name}`));
    const units = names.flatMap((name) => this.#part.find(`units/${name}`) ?? []);
    this.need(...units.flatMap(digestsIn).map((digest) => `contents/${digest}`));
  }

  /** Undefined for an empty registry. Throws `registry-corrupt` if only this document is missing. */
  get clusterId(): string | undefined {
    const cluster = this.#read('cluster', 'cluster');
    if (cluster !== undefined || this.revision === 0) return cluster?.id;
    const { length } = this.#part.below('');
    if (length > 0) throw corrupt('cluster', `it is missing, but ${length} other documents exist`);
    return undefined;
  }

  /** The readable units. It is always the same list, so that an index over it can be kept. */
  get allUnits(): readonly DesiredUnit[] {
    this.#all ??= [...this.units.values()];
    return this.#all;
  }

  /** The names of all units, sorted, without reading their documents. */
  get unitNames(): readonly string[] {
    return this.#keys('units/');
  }

  /** Whether a unit is assigned to the machine with that id. Only documents with the id are parsed. */
  hasUnitsOn(id: MachineId): boolean {
    const named = this.#part.below('units/').filter(({ value }) => value.includes(id));
    return named.some(({ key }) => this.units.get(key.slice('units/'.length))?.machine === id);
  }

  /** The token of a decision that is based on this view. */
  get token(): Token {
    return this.revision + this.#tokenBase;
  }

  get #tokenBase(): number {
    this.#base ??= this.#read('cluster', 'cluster')?.tokenBase ?? 0;
    return this.#base;
  }

  /**
   * The error for a unit whose document is lost: the registry has its history, and no command has destroyed it. Undefined
   * for a unit that the registry has, never had, or that was destroyed.
   */
  lost(name: string): FleetError | undefined {
    const key = `history/${name}`;
    if (this.revisionOf(`units/${name}`) > 0 || this.revisionOf(key) === 0) return undefined;
    if (this.destroyed(name) !== undefined || this.#wasDestroyed(name)) return undefined;
    const message = `Cannot read "units/${name}" of the registry: it is missing, and no command has destroyed that unit`;
    return new FleetError('registry-corrupt', message, {
      hint: `Restore the registry from a backup; or submit it again: fleetctl submit ${name}`,
    });
  }

  /** The data about machines, by name. */
  get machines(): ReadonlyMap<string, KnownMachine> {
    this.#machines ??= new Map(
      this.#machineDocuments.flatMap(([name, { removed, ...known }]) =>
        removed === undefined ? [[name, { ...UNKNOWN_MACHINE, ...known }]] : [],
      ),
    );
    return this.#machines;
  }

  /** The machines that commands have removed, by name. */
  get removed(): ReadonlyMap<string, RemovedMachine> {
    this.#removed ??= new Map(
      this.#machineDocuments.flatMap(([name, { removed }]) =>
        removed === undefined ? [] : [[name, removed]],
      ),
    );
    return this.#removed;
  }

  get #machineDocuments(): readonly (readonly [name: string, document: Document<'machines/'>])[] {
    return this.#keys('machines/').map((name) => [name, this.#must('machines/', `machines/${name}`)]);
  }

  historyDocument(name: string): Document<'history/'> | undefined {
    return this.#histories.get(name);
  }

  /** The texts of a unit name, oldest first. */
  history(name: string): readonly HistoryEntry[] {
    return this.historyDocument(name)?.entries ?? [];
  }

  /** The time and author of the command that destroyed the unit; undefined if it was not destroyed, or was submitted again. */
  destroyed(name: string): Document<'history/'>['destroyed'] {
    return this.historyDocument(name)?.destroyed;
  }

  /** Digest → verdict, for the texts of a unit name that were started. */
  verdicts(name: string): Readonly<Record<string, Verdict>> {
    return this.historyDocument(name)?.verdicts ?? {};
  }

  /** The text of the unit that a command released last, and the token of that time; undefined for none. */
  released(name: string): Document<'history/'>['released'] {
    return this.historyDocument(name)?.released;
  }

  /** The keys of {@link events}, oldest first. */
  get eventKeys(): readonly string[] {
    return sortEventKeys(this.#keys('events/'));
  }

  /** The stored events, oldest first, with their keys; those that cannot be read are left out. */
  get events(): readonly (LogEntry & { readonly key: string })[] {
    this.#events ??= this.eventKeys.flatMap((key) => {
      const entry = readable(() => this.#must('events/', `events/${key}`));
      // An event kind of a newer version is kept unchanged.
      return isFleetError(entry)
        ? []
        : [{ ...entry, key, events: entry.events as unknown as LogEntry['events'] }];
    });
    return this.#events;
  }

  /**
   * The text with that SHA-256, of a unit or a history entry. Throws `registry-corrupt` if it is missing or differs.
   */
  text(digest: string): string {
    const known = this.#texts.get(digest);
    if (known !== undefined) return known;
    const key = `contents/${digest}`;
    const { text } = this.#must('contents/', key);
    if (sha256(text) !== digest) throw corrupt(key, 'its text has another SHA-256');
    this.#texts.set(digest, text);
    return text;
  }

  #file(digest: string, name: string): UnitFile {
    if (this.#parsed?.digest !== digest)
      this.#parsed = { digest, file: parseUnitFile(this.text(digest), name) };
    return this.#parsed.file;
  }

  /** The dependencies of the unit's text with that SHA-256; empty if it is missing or invalid. */
  dependencies(name: string, digest: string): readonly Dependency[] {
    const read = readable(() =>
      readDependencies(parseUnitFile(this.text(digest), name), parseUnitName(name)),
    );
    return isFleetError(read) ? [] : withUnitNames(read, this.#aliasesOfUnits);
  }

  /** The revision of the last change of a key; 0 if it does not exist. */
  revisionOf(key: string): number {
    return this.#part.find(key)?.revision ?? 0;
  }

  /** The view after a commit of `changes`. */
  after(changes: readonly Change[], revision: number): RegistryView {
    const { snapshot, prefixes } = this.#part;
    return new RegistryView(revision, withChanges(snapshot, changes, revision).records, prefixes);
  }

  #readUnit(name: string): KnownUnit | undefined {
    const key = `units/${name}`;
    this.need('cluster', key);
    const base = this.#tokenBase;
    const record = this.#part.find(key);
    if (record === undefined) return undefined;
    const read = unitsOfRecords.get(record);
    if (read?.base === base && read.content === this.#part.find(`contents/${read.unit.digest}`))
      return { kind: 'unit', unit: read.unit };
    try {
      const document = readDocument('units/', key, record.value);
      const unconfirmed = this.#unconfirmed(name, document);
      if (unconfirmed !== undefined)
        return { kind: 'unconfirmed', unit: unconfirmed, error: notConfirmed(unconfirmed) };
      const unit = this.#unit(name, document, record.revision + base);
      unitsOfRecords.set(record, { unit, content: this.#part.find(`contents/${unit.digest}`), base });
      return { kind: 'unit', unit };
    } catch (error) {
      if (isFleetError(error)) return { kind: 'unreadable', error };
      throw error;
    }
  }

  /** Reads only the units whose text may have an `Alias=`. */
  get #aliasesOfUnits(): Aliases {
    if (this.#aliases !== undefined) return this.#aliases;
    const digests = new Set(
      this.#part
        .below('contents/')
        .flatMap(({ key, value }) => (value.includes('Alias') ? [key.slice('contents/'.length)] : [])),
    );
    const named =
      digests.size === 0
        ? []
        : this.#part
            .below('units/')
            .filter((record) => digestsIn(record).some((digest) => digests.has(digest)));
    const units = named.flatMap(({ key }) => {
      const found = this.#known.get(key.slice('units/'.length));
      return found?.kind === 'unit' ? [found.unit] : [];
    });
    this.#aliases = aliasesOf(units, (name) => this.#known.get(name)?.kind === 'unit');
    return this.#aliases;
  }

  /** Whether the unit was destroyed after its last submission, by the events. */
  #wasDestroyed(name: string): boolean {
    const last = this.events
      .flatMap(({ events }) => events)
      .findLast(
        (event) => 'unit' in event && event.unit === name && ['text', 'destroy'].includes(event.kind),
      );
    return last?.kind === 'destroy';
  }

  #keys(prefix: 'units/' | 'machines/' | 'events/'): readonly string[] {
    return this.#part.below(prefix).map(({ key }) => key.slice(prefix.length));
  }

  #unconfirmed(name: string, { unconfirmed, ...unit }: Document<'units/'>): StoredUnit | undefined {
    if (unconfirmed === undefined) return undefined;
    const held = unit.held as Held | undefined;
    const { machine, fromTemplate, digest } = unit;
    const text = this.revisionOf(`contents/${digest}`) === 0 ? undefined : this.text(digest);
    return { name, ...unit, text, machine, fromTemplate, held, unconfirmed };
  }

  #unit(name: string, document: Document<'units/'>, token: Token): DesiredUnit {
    const problem = storedNameProblem(name);
    if (problem !== undefined) throw corrupt(`units/${name}`, `that is not a unit name: ${problem}`);
    const { digest, hash, target, fromTemplate, set, fleet, ...stored } = document;
    // The cause is one of a known kind, or has only its kind.
    const held = document.held as Held | undefined;
    // A template has no assignment; earlier versions of recover stored one.
    const machine = isTemplateName(name) ? undefined : stored.machine;
    const text = this.text(digest);
    const read = readText(partsOf(name), () => this.#file(digest, name), fleet);
    const hold = held && { held };
    return { name, text, hash, digest, ...read, target, machine, fromTemplate, set, ...hold, token };
  }

  #must<K extends DocumentKind>(kind: K, key: string): Document<K> {
    const document = this.#read(kind, key);
    if (document === undefined) throw corrupt(key, 'it is missing');
    return document;
  }

  #read<K extends DocumentKind>(kind: K, key: string): Document<K> | undefined {
    const record = this.#part.find(key);
    return record === undefined ? undefined : readDocument(kind, key, record.value);
  }
}

/** The digests in a document, without parsing it. */
function digestsIn({ value }: StoreRecord): readonly string[] {
  return value.match(/[0-9a-f]{64}/g) ?? [];
}
