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
ActiveEnterTimestamp=Mon 2026-11-23 06:05:41 UTC
StateChangeTimestamp=Mon 2026-11-23 06:07:00 UTC
MemoryCurrent=5312512
CPUUsageNSec=15382000
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
  since: undefined,
  memoryBytes: undefined,
  cpuNs: undefined,
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
          since: Date.UTC(2026, 10, 23, 6, 5, 41),
          memoryBytes: 5_312_512,
          cpuNs: 15_382_000,
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

  const ENTERED = 'ActiveEnterTimestamp=Mon 2026-11-23 06:05:41 UTC';
  const CHANGED = 'StateChangeTimestamp=Mon 2026-11-23 06:07:00 UTC';
  it.each([
    ['a unit that is active, since it is', `ActiveState=active\n${ENTERED}\n${CHANGED}`, '06:05:41'],
    ['one that is reloading', `ActiveState=reloading\n${ENTERED}\n${CHANGED}`, '06:05:41'],
    ['one that has failed, since then', `ActiveState=failed\n${ENTERED}\n${CHANGED}`, '06:07:00'],
    ['one that never was anything else', 'ActiveState=inactive\nStateChangeTimestamp=', undefined],
    ['one without a time in another spelling', 'ActiveState=inactive\nStateChangeTimestamp=n/a', undefined],
    ['a time that is not in UTC', `ActiveState=active\n${ENTERED.replace('UTC', 'CET')}`, undefined],
    ['systemd before 230, which has no such property', 'ActiveState=inactive', undefined],
  ])('tells since when: %s', (_, lines, time) => {
    const since = time === undefined ? undefined : Date.parse(`2026-11-23T${time}Z`);
    expect(parseShow(`Id=x.service\n${lines}`)[0]?.state.since).toBe(since);
  });

  it.each([
    ['a number', '5312512', 5_312_512],
    ['zero', '0', 0],
    ['what is not set', '[not set]', undefined],
    ['what is not set, in the spelling of systemd before 239', '18446744073709551615', undefined],
    ['what cannot be read', '[no data]', undefined],
    ['nothing', '', undefined],
  ])('reads amounts: %s', (_, value, expected) => {
    const state = parseShow(`Id=x.service\nMemoryCurrent=${value}\nCPUUsageNSec=${value}`)[0]?.state;
    expect([state?.memoryBytes, state?.cpuNs]).toEqual([expected, expected]);
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
