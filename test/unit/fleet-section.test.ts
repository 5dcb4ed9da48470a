import { expect, it } from 'vitest';
import { checkFleetSection } from '../../src/unit/fleet-section.ts';
import { parseUnitFile } from '../../src/unit/unit-file.ts';
import { parseUnitName } from '../../src/unit/unit-name.ts';

const check = (line: string, name = 'web@1.service'): void =>
  checkFleetSection(parseUnitFile(`[Unit]\nDescription=%H\n[X-Fleet]\n${line}\n`), parseUnitName(name));

it.each([
  ['MachineMetadata=host=%H', '%H'],
  ['MachineID=%m', '%m'],
  ['MachineOf=db-%b.service', '%b'],
  ['Conflicts=a.service web@%%%l.service', '%l'],
])('%s is refused, with its line', (line, specifier) => {
  const [option, ...value] = line.split('=');
  for (const name of ['web@1.service', 'web@.service', 'web.service'])
    expect(() => check(line, name)).toThrow(
      `Cannot read the placement of "${name}", line 4: ${option} has the specifier ${specifier}, which only the machine can expand: "${value.join('=')}"`,
    );
});

it.each(['MachineMetadata=host=%I', 'MachineOf=%p@%i.service', 'Conflicts=%%H', 'MachineMetadata=a=50%'])(
  '%s is taken',
  (line) => {
    expect(() => check(line)).not.toThrow();
  },
);
