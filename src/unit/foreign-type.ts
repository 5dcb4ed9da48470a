import { FleetError } from '../base/errors.ts';
import { quoted } from '../base/visible.ts';
import { UNIT_TYPES } from './unit-name.ts';

/** Files that Quadlet makes services of (podman-systemd.unit(5)). */
const QUADLET = ['container', 'pod', 'volume', 'network', 'kube', 'image', 'build', 'artifact'];

/** True for the name of a file that says by its suffix that it is no unit of fleet: `site.container`. */
export function hasForeignSuffix(name: string): boolean {
  const suffix = suffixOf(name);
  return suffix !== '' && !(UNIT_TYPES as readonly string[]).includes(suffix);
}

/** A FleetError `unit-name` for a file with such a name, with the types that there are. */
export function foreignType(name: string): FleetError {
  const types = `${UNIT_TYPES.slice(0, -1).join(', ')} and ${UNIT_TYPES.at(-1)}`;
  return new FleetError('unit-name', `Cannot run ${quoted(name)}: fleet runs ${types} units`, {
    hint: quadletHint(name) ?? 'Name a unit file, such as hello.service',
  });
}

/** What to do with a file of Quadlet; undefined for any other. */
export function quadletHint(name: string): string | undefined {
  const suffix = suffixOf(name);
  if (!QUADLET.includes(suffix)) return undefined;
  return `.${suffix} files are for Quadlet: write a service that runs podman, or put the file into /etc/containers/systemd on the machine yourself`;
}

function suffixOf(name: string): string {
  const dot = name.lastIndexOf('.');
  return dot <= 0 ? '' : name.slice(dot + 1);
}
