import { describe, expect, it } from 'vitest';
import type { Section } from '../../src/systemd/frame.ts';
import { readVerification, verifyQuery } from '../../src/systemd/queries.ts';

const REQUEST = {
  files: ['a.service', 'b.service'].map((name) => ({ name, text: '[Service]\n' })),
  units: ['a.service'],
};

/** The answer of a machine whose systemd has that version. */
function answer(version: string, status: number, ...said: readonly string[]): readonly Section[] {
  return [
    { name: 'stage', status: 0, stdout: '', stderr: '' },
    { name: 'verify', status, stdout: version, stderr: said.join('\n') },
  ];
}

const WARNING = "/run/fleet/verify.Ab12cD/a.service:3: Unknown key 'Foo' in section [Service], ignoring.";
const OTHER = '/usr/lib/systemd/system/plymouth.service:15: Unit uses KillMode=none.';

describe('what systemd says of unit files', () => {
  it.each<[string, readonly Section[], readonly string[]]>([
    ['passes where it says nothing', answer('252', 0), []],
    ['passes where it has something against other units alone', answer('252', 0, OTHER), []],
    [
      'fails by its exit status, in its words without the folder',
      answer('252', 1, OTHER, WARNING),
      ["a.service:3: Unknown key 'Foo' in section [Service], ignoring."],
    ],
    [
      'fails before 250 because of its messages about the files',
      answer('249', 0, OTHER, WARNING),
      ["a.service:3: Unknown key 'Foo' in section [Service], ignoring."],
    ],
    ['passes before 250 where it is about other units alone', answer('219', 0, OTHER), []],
    [
      'passes before 213, which did not know what [X-Fleet] is',
      answer('209', 0, "[/run/fleet/verify.Ab12cD/a.service:9] Unknown section 'X-Fleet'. Ignoring."),
      [],
    ],
    [
      'fails with all its words when it names none of the files',
      answer('252', 1, 'Failed to initialize manager'),
      ['Failed to initialize manager'],
    ],
    ['fails with its status when it says nothing', answer('252', 1), ['systemd-analyze ended with status 1']],
    [
      'tells a thing once',
      answer('252', 1, WARNING, WARNING),
      ["a.service:3: Unknown key 'Foo' in section [Service], ignoring."],
    ],
    [
      'fails where the files could not be put',
      [{ name: 'stage', status: 1, stdout: '', stderr: 'mktemp: no space' }],
      ['mktemp: no space'],
    ],
  ])('%s', (_, sections, problems) => {
    expect(readVerification(REQUEST, sections)).toEqual(problems);
  });
});

it('checks the requested units with all files in place, and removes the files', () => {
  const files = [{ name: 'a\\x2db.mount', text: "it's\n" }];
  const { script } = verifyQuery({ files, units: ['a\\x2db.mount'] });
  expect(script).toContain(
    [
      'step stage stage || return',
      `printf '%b' 'it\\0047s\\n' >"$V"/'a\\x2db.mount'`,
      `section verify from analyze './a\\x2db.mount'`,
      'rm -rf "$V"',
    ].join('\n'),
  );
});
