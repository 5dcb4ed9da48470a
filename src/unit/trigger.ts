import { expandSpecifiers } from './specifiers.ts';
import { optionValues, type UnitFile } from './unit-file.ts';
import type { UnitName } from './unit-name.ts';

/** The section of each unit type that starts another unit, and the option that names it. */
const TRIGGERS = { timer: ['Timer', 'Unit'], socket: ['Socket', 'Service'], path: ['Path', 'Unit'] } as const;

/**
 * The unit that a timer, socket, path or automount starts: the one it names, else the service of the same name, or
 * the mount (systemd.timer(5), .socket(5), .path(5), .automount(5)). Undefined for other units, and for a socket with
 * Accept=yes, whose services are made from a template.
 */
export function triggeredUnit(file: UnitFile, name: UnitName): string | undefined {
  if (name.type === 'automount') return name.text.replace(/automount$/, 'mount');
  if (name.type !== 'timer' && name.type !== 'socket' && name.type !== 'path') return undefined;
  const [section, option] = TRIGGERS[name.type];
  const named = optionValues(file, section, option).at(-1);
  if (named !== undefined) return expandSpecifiers(named, name);
  const accept = optionValues(file, 'Socket', 'Accept').at(-1)?.toLowerCase() ?? 'no';
  if (['1', 'yes', 'true', 'on', 'y', 't'].includes(accept)) return undefined;
  return name.text.replace(/\.[a-z]+$/, '.service');
}
