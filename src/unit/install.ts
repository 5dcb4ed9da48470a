import { FleetError } from '../base/errors.ts';
import { quoted } from '../base/visible.ts';
import { expandSpecifiers } from './specifiers.ts';
import { joinedValue, type UnitFile } from './unit-file.ts';
import { isReserved, isTemplate, parseUnitName, type UnitName, unitNameProblem } from './unit-name.ts';

/** The `[Install]` section of a unit (systemd.unit(5)), specifiers expanded. */
export type Install = {
  /** Links that make other units pull it in, below the folder of unit files: `sockets.target.wants/web.socket`. */
  readonly links: readonly string[];
  /** Its other names. */
  readonly aliases: readonly string[];
  /** Units that are to be enabled along with it. */
  readonly also: readonly string[];
};

/** Option → suffix of the folder for the link: `sockets.target.wants`. */
const FOLDERS = { WantedBy: 'wants', RequiredBy: 'requires', UpheldBy: 'upholds' } as const;

/** Unit types that may have other names. */
const ALIASED = new Set(['service', 'socket', 'target', 'timer', 'path']);

/** The name of any unit, also of types without unit files. */
const ANY_UNIT = /^[\w:.\\@-]+\.(service|socket|target|device|timer|path|mount|automount|swap|slice|scope)$/;

/**
 * Reads the `[Install]` section. `DefaultInstance=` is ignored, because a template itself is on no machine. Invalid
 * words are left out; {@link checkInstall} rejects them.
 */
export function readInstall(file: UnitFile, unit: UnitName): Install {
  const words = (option: string): readonly string[] =>
    wordsOf(file, unit, option).flatMap(({ text, problem }) => (problem === undefined ? [text] : []));
  const links = Object.entries(FOLDERS).flatMap(([option, folder]) =>
    words(option).map((other) => `${other}.${folder}/${unit.text}`),
  );
  const aliases = words('Alias').map((alias) => withInstance(alias, unit));
  return {
    links: [...new Set(links)],
    aliases: [...new Set(aliases)].filter((alias) => alias !== unit.text),
    also: words('Also').filter((other) => other !== unit.text),
  };
}

/** Throws a FleetError `unit-file` for the first invalid word of `[Install]`; a template is checked with its instances. */
export function checkInstall(file: UnitFile, unit: UnitName): void {
  if (isTemplate(unit)) return;
  for (const option of [...Object.keys(FOLDERS), 'Alias', 'Also']) {
    const bad = wordsOf(file, unit, option).find(({ problem }) => problem !== undefined);
    if (bad === undefined) continue;
    const place = `Cannot read [Install] of ${quoted(unit.text)}, line ${bad.line}`;
    throw new FleetError('unit-file', `${place}: ${option} ${bad.problem}: ${quoted(bad.text)}`, {
      hint: 'It takes the names of units, with %n, %N, %p and %i',
    });
  }
}

type InstallWord = { readonly text: string; readonly line: number; readonly problem: string | undefined };

/** The words of an option; an empty assignment removes those before it. */
function wordsOf(file: UnitFile, unit: UnitName, name: string): readonly InstallWord[] {
  const words: InstallWord[] = [];
  for (const option of file.options) {
    if (option.section !== 'Install' || option.name !== name) continue;
    const value = joinedValue(option);
    if (value === '') words.length = 0;
    for (const written of value.split(/\s+/).filter((word) => word !== '')) {
      const text = expandSpecifiers(written, unit);
      const problem = name === 'Alias' ? aliasProblem(text, unit) : unitProblem(text);
      words.push({ text, line: option.line, problem });
    }
  }
  return words;
}

function unitProblem(text: string): string | undefined {
  if (/%[a-zA-Z]/.test(text)) return 'has a specifier that only the machine can expand';
  return ANY_UNIT.test(text) && !text.startsWith('.') ? undefined : 'is not a unit name';
}

/** systemd accepts an alias of the same type; for an instance, only one with the same instance. */
function aliasProblem(text: string, unit: UnitName): string | undefined {
  const problem = unitProblem(text);
  if (problem !== undefined) return problem;
  if (!ALIASED.has(unit.type)) return `is not for a ${unit.type}, which has no other names`;
  const alias = withInstance(text, unit);
  if (isReserved(alias)) return 'is the name of a unit of fleet itself';
  if (unitNameProblem(alias) !== undefined || parseUnitName(alias).type !== unit.type)
    return `is not a name of a ${unit.type}`;
  return parseUnitName(alias).instance === unit.instance ? undefined : 'is not for the same instance';
}

/** As an alias of instance 1, `db@.service` means `db@1.service`. */
function withInstance(alias: string, unit: UnitName): string {
  const instance = unit.instance ?? '';
  return alias.includes('@.') ? alias.replace('@.', () => `@${instance}.`) : alias;
}
