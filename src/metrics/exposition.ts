type Labels = Readonly<Record<string, string>>;
type Sample = { readonly labels: Labels; readonly suffix: string; value: number };

/** The content type of {@link exposition}. */
export const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Families in the text format of Prometheus, version 0.0.4. */
export function exposition(families: readonly Family[]): string {
  return families.map((family) => family.text).join('');
}

/** Samples of one name, by their labels. */
export class Family {
  readonly #type: 'counter' | 'gauge' | 'summary';
  readonly #name: string;
  readonly #help: string;
  readonly #samples = new Map<string, Sample>();

  /** `known` labels are there from the start, at 0: otherwise the first event of a kind would not be an increase. */
  constructor(
    type: 'counter' | 'gauge' | 'summary',
    name: string,
    help: string,
    known: readonly Labels[] = [],
  ) {
    this.#type = type;
    this.#name = name;
    this.#help = help;
    for (const labels of known) this.add(labels, 0);
  }

  /** `suffix` is added to the name of the family: `_sum`. */
  add(labels: Labels = {}, by = 1, suffix = ''): void {
    const key = JSON.stringify([labels, suffix]);
    const sample = this.#samples.get(key) ?? { labels, suffix, value: 0 };
    sample.value += by;
    this.#samples.set(key, sample);
  }

  get text(): string {
    const lines = [...this.#samples.values()].map(
      ({ labels, suffix, value }) => `${this.#name}${suffix}${labelText(labels)} ${value}\n`,
    );
    return `# HELP ${this.#name} ${this.#help}\n# TYPE ${this.#name} ${this.#type}\n${lines.join('')}`;
  }
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
