import { readWord } from '../machine/limits.ts';
import { UNIT_TYPES } from '../unit/unit-name.ts';

/** The alphabet of unit names (systemd.unit(5)), and UNIT_NAME_MAX. systemd shows units of types that fleet does not run, too. */
const NAME = /^[A-Za-z0-9:_.\\@-]{1,255}$/;

/** A name of a unit, as systemd tells it. Throws FleetError `bad-answer` for what cannot be one. */
export function readUnitName(text: string): string {
  return readWord(text, NAME, 'the name of a unit');
}

/** The same of the types that fleet runs; a dot or an @ in front is no name of a file that fleet writes. */
const OWN_NAME = new RegExp(
  `^(?=.{1,255}$)[A-Za-z0-9:_\\\\-][A-Za-z0-9:_.\\\\@-]*\\.(?:${UNIT_TYPES.join('|')})$`,
);

/** The name of a unit that fleet put on a machine. Throws FleetError `bad-answer` for what cannot be one. */
export function readOwnUnitName(text: string): string {
  return readWord(text, OWN_NAME, 'the name of a unit');
}
