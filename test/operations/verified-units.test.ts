import { expect, it } from 'vitest';
import { unitsBlamed } from '../../src/operations/verify.ts';

const UNITS = ['web.service', 'myweb.service', 'app@.service', 'app@1.service', String.raw`mnt-a\x2db.mount`];

it.each<readonly [string, readonly string[], readonly string[]]>([
  ['nothing', [], []],
  ['a line of a unit', ['web.service: Command /no is not executable: No such file'], ['web.service']],
  ['a name within another', ['myweb.service:3: Unknown key'], ['myweb.service']],
  ['a line of a file', ['./web.service:3: Unknown key name'], ['web.service']],
  ['the first that a line names', ['web.service: After=myweb.service is odd'], ['web.service']],
  ['a template by the instance that systemd takes', ['app@test-instance.service: no'], ['app@.service']],
  ['an instance before its template', ['app@1.service: no'], ['app@1.service']],
  ['a name with an escape', [String.raw`mnt-a\x2db.mount: no`], [String.raw`mnt-a\x2db.mount`]],
  [
    'several, in the order of the units',
    ['myweb.service: no', 'web.service: no'],
    ['web.service', 'myweb.service'],
  ],
  ['a line that names none', ['web.service: no', 'Failed to start'], UNITS],
])('%s', (_, lines, blamed) => {
  expect(unitsBlamed(UNITS, lines)).toEqual(blamed);
});
