import { expect, it } from 'vitest';
import { readDependencies } from '../../src/unit/dependencies.ts';
import { parseUnitFile } from '../../src/unit/unit-file.ts';
import { parseUnitName } from '../../src/unit/unit-name.ts';

function read(text: string, name = 'a@1.service'): readonly string[] {
  return readDependencies(parseUnitFile(text), parseUnitName(name)).map(
    ({ kind, unit, line }) => `${line} ${kind} ${unit}`,
  );
}

it('finds every option that ties units together, with its line', () => {
  const text = `[Unit]
Requires=b.service c.socket
BindsTo=d@%i.service
PartOf=e.service
PropagatesStopTo=f.service
StopPropagatedFrom=g.service
Conflicts=h.service \\
  i.service
Upholds=j.service
[Service]
Slice=k.slice
[Install]
RequiredBy=l.service
UpheldBy=m.target
`;
  expect(read(text)).toEqual([
    '2 Requires b.service',
    '2 Requires c.socket',
    '3 BindsTo d@1.service',
    '4 PartOf e.service',
    '5 PropagatesStopTo f.service',
    '6 StopPropagatedFrom g.service',
    '7 Conflicts h.service',
    '7 Conflicts i.service',
    '9 Upholds j.service',
    '11 Slice k.slice',
    '13 RequiredBy l.service',
    '14 UpheldBy m.target',
  ]);
});

it('leaves out what orders units and what is no name, and keeps what an empty assignment does not reset', () => {
  expect(read('[Unit]\nRequires=b.service\nRequires=\nAfter=c.service\nWants=%x/d e f.service\n')).toEqual([
    '2 Requires b.service',
    '5 Wants f.service',
  ]);
});

it.each([
  ['a.service', 'Service'],
  ['a.socket', 'Socket'],
  ['a.mount', 'Mount'],
  ['a.swap', 'Swap'],
])('finds the slice of %s in [%s]', (name, section) => {
  expect(read(`[${section}]\nSlice=k.slice\n`, name)).toEqual(['2 Slice k.slice']);
});

it('takes options of their own section alone', () => {
  expect(read('[Service]\nRequires=b.service\n[X-Fleet]\nConflicts=c.service\n')).toEqual([]);
});
