import { expect, it } from 'vitest';
import { triggeredUnit } from '../../src/unit/trigger.ts';
import { parseUnitFile } from '../../src/unit/unit-file.ts';
import { parseUnitName } from '../../src/unit/unit-name.ts';

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
