import { describe, expect, it } from 'vitest';
import { unknownState } from '../../src/cluster/unit-state.ts';
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

/** The least that a state is made of. */
const BLOCK = 'Id=x.service\nLoadState=loaded\nActiveState=inactive\nSubState=dead\n';

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

  it('may lack every property but the name and the state: systemd before 235 has no NRestarts', () => {
    const state = { ...NOTHING, load: 'loaded', active: 'inactive', sub: 'dead' };
    expect(parseShow(BLOCK)).toEqual([{ names: ['x.service'], state }]);
  });

  it.each([
    ['no state', 'Id=x.service', 'systemctl show has left out its state'],
    [
      'half of its state',
      'Id=x.service\nLoadState=loaded\nActiveState=inacti',
      'systemctl show has left out its state',
    ],
    ['no value of its state', `${BLOCK}ActiveState=`, 'systemctl show has left out its state'],
    [
      'the reason instead',
      'Id=x.service\nActiveState=active\nUnknown=Failed to get properties: Invalid argument',
      'Failed to get properties: Invalid argument (systemctl is-active: active)',
    ],
    ['the reason, an empty one', 'Id=x.service\nActiveState=\nUnknown=', 'systemctl show failed'],
  ])('has a unit in an unknown state for a block with %s', (_, block, why) => {
    expect(parseShow(`${block}\n\n${RUNNING}`)).toEqual([
      { names: ['x.service'], state: unknownState(why) },
      ...parseShow(RUNNING),
    ]);
  });

  it.each([
    ['none', '', undefined],
    [
      'of the clock',
      'NextElapseUSecRealtime=Tue 2026-12-01 00:00:00 UTC\nNextElapseUSecMonotonic=infinity',
      '2026-12-01T00:00:00Z',
    ],
    [
      'since boot',
      'NextElapseUSecRealtime=\nNextElapseUSecMonotonic=1w 2d 1h 17min 35.910770s',
      '2026-11-10T01:17:36Z',
    ],
    [
      'of both, the first',
      'NextElapseUSecRealtime=Tue 2026-12-01 00:00:00 UTC\nNextElapseUSecMonotonic=5ms',
      '2026-11-01T00:00:00Z',
    ],
    ['that is none', 'NextElapseUSecRealtime=n/a\nNextElapseUSecMonotonic=0', undefined],
    ['in a unit of time that is none', 'NextElapseUSecMonotonic=5parsec', undefined],
    ['later than systemd can write', 'NextElapseUSecRealtime=--- XXXX-XX-XX XX:XX:XX', undefined],
  ])('has the time at which a timer elapses: %s', (_, lines, time) => {
    const booted = Date.parse('2026-11-01T00:00:00Z');
    const next = parseShow(`${BLOCK}${lines}`, booted)[0]?.state.nextElapse;
    expect(next === undefined ? undefined : Math.round(next / 1000) * 1000).toBe(
      time === undefined ? undefined : Date.parse(time),
    );
  });

  it.each([
    ['yes', true],
    ['no', undefined],
  ])('tells whether a service remains active after its run: %s', (value, remains) => {
    expect(parseShow(`${BLOCK}RemainAfterExit=${value}`)[0]?.state.remains).toBe(remains);
  });

  it('has no time since boot where that is not known', () => {
    expect(parseShow(`${BLOCK}NextElapseUSecMonotonic=5s`)[0]?.state.nextElapse).toBeUndefined();
  });

  it('has the last run of a timer, the end of the last run, and the job', () => {
    const time = 'Mon 2026-11-23 06:05:41 UTC';
    expect(
      parseShow(`${BLOCK}LastTriggerUSec=${time}\nInactiveEnterTimestamp=${time}\nJob=417`)[0]?.state,
    ).toMatchObject({
      lastTrigger: Date.parse('2026-11-23T06:05:41Z'),
      activeExit: Date.parse('2026-11-23T06:05:41Z'),
      jobId: 417,
    });
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
    expect(parseShow(`${BLOCK}${line}`)[0]?.state.loadError).toBe(expected);
  });

  it.each([
    ['a number', 'NRestarts=3', 3],
    ['no number', 'NRestarts=[not set]', 0],
    ['nothing', 'NRestarts=', 0],
  ])('counts restarts: %s', (_, line, expected) => {
    expect(parseShow(`${BLOCK}${line}`)[0]?.state.restarts).toBe(expected);
  });

  it.each([
    ['a date that no calendar has', 'InactiveEnterTimestamp=Mon 9999-99-99 00:00:00 UTC'],
    ['a date before there were any', 'InactiveEnterTimestamp=Mon 0000-01-01 00:00:00 UTC'],
    ['an infinite number', 'NRestarts=Infinity'],
    ['a negative number', 'MemoryCurrent=-1024'],
    ['a number that no unit needs', `MemoryCurrent=${'9'.repeat(20)}`],
    ['a number that is too long', `CPUUsageNSec=1${'0'.repeat(400)}`],
    ['a state with an escape sequence', 'SubState=\u001b[2Jrunning'],
    ['a state that is too long', `SubState=${'a'.repeat(65)}`],
    ['a run with a line feed', 'InvocationID=\r'],
    ['a name with a path', 'Names=../../etc/passwd'],
    ['a name that is too long', `Names=${'a'.repeat(256)}`],
    ['a value that is too long', `LoadError=${'a'.repeat(65 * 1024)}`],
    ['too many names', `${'Names=a b c d e f g h\n\nId=x\n'.repeat(2_000)}`],
    ['too many units', 'Id=x\n\n'.repeat(5_001)],
  ])('is refused for %s', (_, line) => {
    expect(() => parseShow(`${BLOCK}${line}`)).toThrow(expect.objectContaining({ code: 'bad-answer' }));
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
    expect(parseShow(`${BLOCK}${lines}`)[0]?.state.since).toBe(since);
  });

  it.each([
    ['a number', '5312512', 5_312_512],
    ['zero', '0', 0],
    ['what is not set', '[not set]', undefined],
    ['what is not set, in the spelling of systemd before 239', '18446744073709551615', undefined],
    ['what cannot be read', '[no data]', undefined],
    ['nothing', '', undefined],
  ])('reads amounts: %s', (_, value, expected) => {
    const state = parseShow(`${BLOCK}MemoryCurrent=${value}\nCPUUsageNSec=${value}`)[0]?.state;
    expect([state?.memoryBytes, state?.cpuNs]).toEqual([expected, expected]);
  });

  it.each([
    ['', undefined],
    ['/usr/lib/systemd/system/service.d/10-timeout-abort.conf', undefined],
    ['/etc/systemd/system/web.service.d/zz-fleet-fenced.conf', undefined],
    [
      '/etc/systemd/system/service.d/a.conf /run/systemd/system/web.service.d/b.conf /etc/systemd/system/web@.service.d/c.conf',
      ['/run/systemd/system/web.service.d/b.conf', '/etc/systemd/system/web@.service.d/c.conf'],
    ],
  ])('finds what others add to the unit: "%s"', (paths, expected) => {
    expect(parseShow(`${BLOCK}DropInPaths=${paths}`)[0]?.state.dropIns).toEqual(expected);
  });

  it('keeps everything after the first equals sign', () => {
    expect(parseShow(`${BLOCK}FragmentPath=/etc/a=b/x.service`)[0]?.state.fragment).toBe(
      '/etc/a=b/x.service',
    );
  });

  it('asks for no property that may span lines', () => {
    expect(SHOW_PROPERTIES).not.toContain('Description');
    expect(SHOW_PROPERTIES).not.toContain('ExecStart');
  });
});
