import type { UnitName } from './unit-name.ts';

/**
 * Replaces the specifiers of systemd.unit(5) that follow from the name alone: `%n` the whole name, `%N` the name
 * without its suffix, `%p` the prefix, `%i` the instance (empty where there is none), `%%` a percent sign. All others
 * (`%H`, `%m`, …) are known only to the machine and stay as they are, as in fleet.
 */
export function expandSpecifiers(text: string, name: UnitName): string {
  return text.replace(/%([nNpi%])/g, (_, letter: string) => {
    if (letter === 'n') return name.text;
    if (letter === 'N') return name.text.slice(0, -`.${name.type}`.length);
    if (letter === 'p') return name.prefix;
    if (letter === 'i') return name.instance ?? '';
    return '%';
  });
}

/** True when the meaning of `text` differs from instance to instance, so that it says nothing in a template yet. */
export function dependsOnInstance(text: string): boolean {
  return (text.match(/%./gs) ?? []).some((specifier) => ['%n', '%N', '%i'].includes(specifier));
}
