import { expandSpecifiers } from './specifiers.ts';
import { isTrue, optionValues, type UnitFile } from './unit-file.ts';
import type { UnitName } from './unit-name.ts';

/** The section of each unit type that starts another unit, and the option that names it. */
const TRIGGERS = { timer: ['Timer', 'Unit'], socket: ['Socket', 'Service'], path: ['Path', 'Unit'] } as const;

/**
 * The unit whose file a timer, socket, path or automount needs beside it: the one it names, else the service of the
 * same name, or the mount (systemd.timer(5), .socket(5), .path(5), .automount(5)). For a socket with Accept=yes it is
 * the template of its services, `echo@.service`. Undefined for other units.
 */
export function triggeredUnit(file: UnitFile, name: UnitName): string | undefined {
  if (name.type === 'automount') return name.text.replace(/automount$/, 'mount');
  if (name.type !== 'timer' && name.type !== 'socket' && name.type !== 'path') return undefined;
  if (isTrue(optionValues(file, 'Socket', 'Accept').at(-1) ?? 'no')) return `${name.prefix}@.service`;
  const [section, option] = TRIGGERS[name.type];
  const named = optionValues(file, section, option).at(-1);
  if (named !== undefined) return expandSpecifiers(named, name);
  return name.text.replace(/\.[a-z]+$/, '.service');
}
