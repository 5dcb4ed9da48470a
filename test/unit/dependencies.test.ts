import { expect, it } from 'vitest';
import { readDependencies, triggeredUnit } from '../../src/unit/dependencies.ts';
import { parseUnitFile } from '../../src/unit/unit-file.ts';
import { parseUnitName } from '../../src/unit/unit-name.ts';

function read(text: string, name = 'a.service'): readonly string[] {
  return readDependencies(parseUnitFile(text), parseUnitName(name)).map(
    ({ kind, unit, source }) => `${kind} ${unit}: ${source}`,
  );
}

it('finds every option that ties units together, with its line', () => {
  const text = `[Unit]
Requires=b.service c.socket
BindsTo=%p@1.service
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
    'Requires b.service: Requires=b.service in line 2',
    'Requires c.socket: Requires=c.socket in line 2',
    'BindsTo a@1.service: BindsTo=a@1.service in line 3',
    'PartOf e.service: PartOf=e.service in line 4',
    'PropagatesStopTo f.service: PropagatesStopTo=f.service in line 5',
    'StopPropagatedFrom g.service: StopPropagatedFrom=g.service in line 6',
    'Conflicts h.service: Conflicts=h.service in line 7',
    'Conflicts i.service: Conflicts=i.service in line 7',
    'Upholds j.service: Upholds=j.service in line 9',
    'Slice k.slice: Slice=k.slice in line 11',
    'RequiredBy l.service: RequiredBy=l.service in line 13',
    'UpheldBy m.target: UpheldBy=m.target in line 14',
  ]);
});

it('leaves out ordering and invalid names, and keeps options that an empty assignment does not reset', () => {
  expect(read('[Unit]\nRequires=b.service\nRequires=\nAfter=c.service\nWants=%x/d e f.service\n')).toEqual([
    'Requires b.service: Requires=b.service in line 2',
    'Wants f.service: Wants=f.service in line 5',
  ]);
});

it.each([
  ['a.service', 'Service'],
  ['a.socket', 'Socket'],
  ['a.mount', 'Mount'],
  ['a.swap', 'Swap'],
])('finds the slice of %s in [%s]', (name, section) => {
  expect(read(`[${section}]\nSlice=k.slice\n`, name)).toEqual(['Slice k.slice: Slice=k.slice in line 2']);
});

it('reads options only in their section', () => {
  expect(read('[Service]\nRequires=b.service\n[X-Fleet]\nConflicts=c.service\n')).toEqual([]);
});

it.each([
  ['a service', 'a.service', '[Service]\nSlice=x-y-z.slice\n', ['x-y-z.slice', 'x-y.slice', 'x.slice']],
  [
    'what needs a slice',
    'a.service',
    '[Unit]\nBindsTo=x-y.slice\nWants=v-w.slice\n',
    ['x-y.slice', 'x.slice', 'v-w.slice'],
  ],
  ['a slice', 'x-y-z.slice', '[Unit]\nDescription=x\n', ['x-y.slice', 'x.slice']],
  ['an instance', 'we-b@1.service', '[Service]\nExecStart=x\n', ['system-we\\x2db.slice', 'system.slice']],
  ['an instance with a slice', 'web@1.service', '[Service]\nSlice=x.slice\n', ['x.slice']],
  ['an instance in no slice', 'web@1.timer', '[Timer]\nOnActiveSec=1\n', []],
] as const)('finds the slices above %s', (_, name, text, slices) => {
  expect(unitsOf(text, name)).toEqual(slices);
});

it.each([
  ['[Unit]', 'RequiresMountsFor=/srv/a-b "/x y"', ['srv-a\\x2db', 'srv', 'x\\x20y']],
  ['[Service]', 'WorkingDirectory=/run//mnt/./.a/', ['run-mnt-.a', 'run-mnt', 'run']],
  ['[Service]', 'WorkingDirectory=-/run', []],
  ['[Service]', 'WorkingDirectory=/run/../etc', []],
  ['[Service]', 'WorkingDirectory=/', []],
  ['[Service]', 'RootDirectory=%t/%p', ['run-a', 'run']],
  ['[Swap]', 'RootImage=/.é', ['\\x2e\\xc3\\xa9']],
  ['[Socket]', 'RuntimeDirectory=b c/d:e', ['run-b', 'run', 'run-c-d', 'run-c', 'run']],
  ['[Mount]', 'StateDirectory=b', ['var-lib-b', 'var-lib', 'var']],
  ['[Service]', 'CacheDirectory=b', ['var-cache-b', 'var-cache', 'var']],
  ['[Service]', 'LogsDirectory=b', ['var-log-b', 'var-log', 'var']],
  ['[Service]', 'ConfigurationDirectory=b', ['etc-b', 'etc']],
  ['[Service]', 'PrivateTmp=yes', ['var-tmp', 'var']],
  ['[Service]', 'PrivateTmp=no', []],
  ['[Mount]', 'Where=/run/mnt/sub', ['run-mnt', 'run']],
  ['[Automount]', 'Where=/mnt', []],
  ['[Mount]', 'What=/srv', ['srv']],
  ['[Mount]', 'What=nfs:/srv', []],
  ['[Swap]', 'What=/srv', ['srv']],
  ['[Path]', 'PathExistsGlob=/srv/*', ['srv-\\x2a', 'srv']],
  ['[Socket]', 'ListenStream=/srv', ['srv']],
  ['[Socket]', 'ListenStream=7007', []],
  ['[Path]', 'ListenStream=/srv', []],
] as const)('finds the mounts of %s %s', (section, line, mounts) => {
  expect(unitsOf(`${section}\n${line}\n`)).toEqual(mounts.map((mount) => `${mount}.mount`));
});

it('names the option that implies a mount', () => {
  expect(read('[Service]\nWorkingDirectory=/run\n')).toEqual([
    'RequiresMountsFor run.mount: WorkingDirectory=/run in line 2',
  ]);
  expect(read('[Unit]\nDescription=x\n', 'a-b.slice')).toEqual(['Slice a.slice: the name']);
});

function unitsOf(text: string, name?: string): readonly string[] {
  return readDependencies(parseUnitFile(text), parseUnitName(name ?? 'a.service')).map(({ unit }) => unit);
}

it.each([
  ['x.timer', '[Timer]\nOnActiveSec=1h\n', 'x.service'],
  ['x@1.timer', '[Timer]\nOnActiveSec=1h\n', 'x@1.service'],
  ['x@1.timer', '[Timer]\nUnit=other-%i.target\n', 'other-1.target'],
  ['x.path', '[Path]\nPathExists=/x\n', 'x.service'],
  ['x.socket', '[Socket]\nListenStream=/x\nService=y.service\n', 'y.service'],
  ['x.socket', '[Socket]\nListenStream=/x\nAccept=yes\n', 'x@.service'],
  ['x@a.socket', '[Socket]\nListenStream=/x\nAccept=true\n', 'x@.service'],
  ['data.automount', '[Automount]\nWhere=/data\n', 'data.mount'],
  ['x.service', '[Service]\nExecStart=/bin/true\n', undefined],
])('%s with %j starts %s', (name, text, expected) => {
  expect(triggeredUnit(parseUnitFile(text), parseUnitName(name))).toBe(expected);
});
