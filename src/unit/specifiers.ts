import type { UnitName } from './unit-name.ts';

/** The specifiers of systemd.unit(5) that follow from the name alone. */
const FROM_NAME: Readonly<Record<string, (name: UnitName) => string>> = {
  n: ({ text }) => text,
  N: ({ text, type }) => text.slice(0, -`.${type}`.length),
  p: ({ prefix }) => prefix,
  P: ({ prefix }) => unescapeName(prefix),
  i: ({ instance }) => instance ?? '',
  I: ({ instance }) => unescapeName(instance ?? ''),
  j: lastPart,
  J: (name) => unescapeName(lastPart(name)),
  '%': () => '%',
};

/**
 * Replaces the specifiers that follow from the name alone: `%n` the whole name, `%N` the name without its suffix, `%p`
 * the prefix, `%i` the instance (empty where there is none), `%j` the part after the last dash of the prefix, `%P`,
 * `%I` and `%J` the same unescaped, `%%` a percent sign. All others (`%H`, `%m`, …) stay unchanged, because only the
 * machine can expand them.
 */
export function expandSpecifiers(text: string, name: UnitName): string {
  return text.replace(/%./gs, (written) => FROM_NAME[written.slice(1)]?.(name) ?? written);
}

/** True when `text` has a specifier whose value differs between the instances of a template. */
export function dependsOnInstance(text: string): boolean {
  return specifiersOf(text).some((specifier) => ['%n', '%N', '%i', '%I'].includes(specifier));
}

/** The first specifier that only the machine can expand. */
export function machineSpecifier(text: string): string | undefined {
  return specifiersOf(text).find(
    (specifier) => /[a-zA-Z]$/.test(specifier) && FROM_NAME[specifier.slice(1)] === undefined,
  );
}

function specifiersOf(text: string): readonly string[] {
  return text.match(/%./gs) ?? [];
}

function lastPart({ prefix }: UnitName): string {
  return prefix.slice(prefix.lastIndexOf('-') + 1);
}

/** systemd-escape(1): a slash becomes a dash, and every byte that a name cannot have becomes `\xHH`. */
export function escapeName(text: string): string {
  const escaped = Buffer.from(text)
    .toString('latin1')
    .replaceAll(/[^\w:./]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return escaped.replace(/^\./, '\\x2e').replaceAll('/', '-');
}

/** The reverse of systemd-escape(1): a dash is a slash, `\xHH` a byte. */
function unescapeName(text: string): string {
  const bytes = text
    .replaceAll('-', '/')
    .replaceAll(/\\x([\da-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
