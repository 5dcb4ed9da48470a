import type { DesiredUnit } from '../../src/cluster/snapshot.ts';
import type { DependencyKind } from '../../src/unit/dependencies.ts';
import { desiredUnit, type UnitOptions } from './builders.ts';

const SECTIONS: Partial<Record<DependencyKind, string>> = {
  RequiredBy: 'Install',
  UpheldBy: 'Install',
  Slice: 'Service',
  Sockets: 'Service',
};

const TYPES: Partial<Record<DependencyKind, string>> = {
  Slice: 'slice',
  Sockets: 'socket',
  RequiresMountsFor: 'mount',
};

/** The option as a text has it for a unit b. */
export function lineOf(kind: DependencyKind): string {
  return `${kind}=${kind === 'RequiresMountsFor' ? '/b' : `b.${TYPES[kind] ?? 'service'}`}`;
}

/** a.service, whose text names a unit b of a suitable type in such an option, and that unit. */
export function dependentPair(
  kind: DependencyKind,
  section = SECTIONS[kind] ?? 'Unit',
  [first, second]: readonly [UnitOptions?, UnitOptions?] = [],
): readonly [DesiredUnit, DesiredUnit] {
  const other = `b.${TYPES[kind] ?? 'service'}`;
  const text = `[${section}]\n${lineOf(kind)}\n[Service]\nExecStart=/bin/sleep infinity\n`;
  return [desiredUnit('a.service', '', { ...first, text }), desiredUnit(other, '', second)];
}
