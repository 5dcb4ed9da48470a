import { describe, expect, it } from 'vitest';
import { parseShow, SHOW_PROPERTIES } from '../../src/systemd/show.ts';

const RUNNING = `Id=web.service
Names=web.service
LoadState=loaded
LoadError= ""
ActiveState=active
SubState=running
Type=simple
Result=success
ExecMainStatus=0
ExecMainCode=0
NRestarts=2
InvocationID=0123456789abcdef0123456789abcdef
FragmentPath=/etc/systemd/system/web.service
`;

const NOTHING = {
  load: '',
  active: '',
  sub: '',
  result: '',
  type: '',
  exitStatus: 0,
  exitCode: 0,
  restarts: 0,
  invocation: '',
  fragment: '',
  loadError: '',
};

describe('the answer of systemctl show', () => {
  it('has every value in its place', () => {
    expect(parseShow(RUNNING)).toEqual([
      {
        names: ['web.service'],
        state: {
          ...NOTHING,
          load: 'loaded',
          active: 'active',
          sub: 'running',
          result: 'success',
          type: 'simple',
          restarts: 2,
          invocation: '0123456789abcdef0123456789abcdef',
          fragment: '/etc/systemd/system/web.service',
        },
      },
    ]);
  });

  it.each([
    ['nothing', '', []],
    [
      'two units with an empty line between',
      'Id=a.service\n\nId=b.service\n',
      [['a.service'], ['b.service']],
    ],
    ['more empty lines than one', '\n\nId=a.service\n\n\n\nId=b.service\n\n', [['a.service'], ['b.service']]],
    ['no newline at the end', 'Id=a.service\n\nId=b.service', [['a.service'], ['b.service']]],
    ['a unit under other names', 'Id=a.service\nNames=b.service a.service', [['a.service', 'b.service']]],
    ['a name with a backslash', String.raw`Id=dev-\x2d.mount`, [[String.raw`dev-\x2d.mount`]]],
    ['a block without a name, which is left out', 'ActiveState=active\n\nId=a.service', [['a.service']]],
    ['a line that is none, which is left out', 'Warning: no bus\nId=a.service\n=x\n', [['a.service']]],
  ])('names units: %s', (_, text, names) => {
    expect(parseShow(text).map((unit) => unit.names)).toEqual(names);
  });

  it('may lack every property but the name: systemd before 235 has no NRestarts', () => {
    expect(parseShow('Id=a.service')).toEqual([{ names: ['a.service'], state: NOTHING }]);
  });

  it('comes in any order', () => {
    expect(parseShow(RUNNING.split('\n').reverse().join('\n').trim())).toEqual(parseShow(RUNNING));
  });

  it.each([
    ['none', 'LoadError= ""', ''],
    ['none in old spelling', 'LoadError=', ''],
    [
      'a bad setting',
      'LoadError=org.freedesktop.systemd1.BadUnitSetting "Unit x.service has a bad unit file setting."',
      'Unit x.service has a bad unit file setting.',
    ],
    ['quotes inside', 'LoadError=a.b.C "Unit "x" is odd."', 'Unit "x" is odd.'],
  ])('tells why a unit could not be loaded: %s', (_, line, expected) => {
    expect(parseShow(`Id=x.service\n${line}`)[0]?.state.loadError).toBe(expected);
  });

  it.each([
    ['a number', 'NRestarts=3', 3],
    ['no number', 'NRestarts=[not set]', 0],
    ['nothing', 'NRestarts=', 0],
  ])('counts restarts: %s', (_, line, expected) => {
    expect(parseShow(`Id=x.service\n${line}`)[0]?.state.restarts).toBe(expected);
  });

  it('keeps everything after the first equals sign', () => {
    expect(parseShow('Id=x.service\nFragmentPath=/etc/a=b/x.service')[0]?.state.fragment).toBe(
      '/etc/a=b/x.service',
    );
  });

  it('asks for no property that may span lines', () => {
    expect(SHOW_PROPERTIES).not.toContain('Description');
    expect(SHOW_PROPERTIES).not.toContain('ExecStart');
  });
});
