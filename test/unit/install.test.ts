import { describe, expect, it } from 'vitest';
import { checkInstall, type Install, readInstall } from '../../src/unit/install.ts';
import { parseUnitFile } from '../../src/unit/unit-file.ts';
import { parseUnitName } from '../../src/unit/unit-name.ts';

const NOTHING: Install = { links: [], aliases: [], also: [] };

function fileOf(lines: string) {
  return parseUnitFile(`[Service]\nExecStart=/bin/true\n[Install]\n${lines}\n`);
}

describe('the [Install] section', () => {
  it.each<readonly [string, string, string, Partial<Install>]>([
    [
      'says who wants it',
      'web.service',
      'WantedBy=multi-user.target',
      { links: ['multi-user.target.wants/web.service'] },
    ],
    [
      'says who requires it',
      'web.service',
      'RequiredBy=db.service',
      { links: ['db.service.requires/web.service'] },
    ],
    [
      'says who upholds it',
      'web.service',
      'UpheldBy=app.target',
      { links: ['app.target.upholds/web.service'] },
    ],
    [
      'has several words, on several lines',
      'web.service',
      'WantedBy=a.target b.target\nWantedBy=c.target \\\n  a.target',
      { links: ['a.target.wants/web.service', 'b.target.wants/web.service', 'c.target.wants/web.service'] },
    ],
    ['is emptied by an empty value', 'web.service', 'WantedBy=a.target\nWantedBy=', {}],
    [
      'may name a device',
      'web.service',
      'WantedBy=dev-sdb1.device',
      { links: ['dev-sdb1.device.wants/web.service'] },
    ],
    [
      'gives other names',
      'web.service',
      'Alias=www.service http.service',
      { aliases: ['www.service', 'http.service'] },
    ],
    ['has no use for its own name', 'web.service', 'Alias=web.service\nAlso=web.service', {}],
    ['names what goes with it', 'web.service', 'Also=web.socket', { also: ['web.socket'] }],
    [
      'has its specifiers replaced',
      'web@3.service',
      'WantedBy=all-%p.target\nRequiredBy=db@%i.service',
      { links: ['all-web.target.wants/web@3.service', 'db@3.service.requires/web@3.service'] },
    ],
    [
      'gives an instance the name of an instance',
      'web@3.service',
      'Alias=www@.service',
      { aliases: ['www@3.service'] },
    ],
    ['has a default instance, which says nothing', 'web@3.service', 'DefaultInstance=1', {}],
    [
      'with what cannot be followed is read without it',
      'web.service',
      'WantedBy=%H.target a.target',
      { links: ['a.target.wants/web.service'] },
    ],
  ])('%s', (_, name, lines, expected) => {
    expect(readInstall(fileOf(lines), parseUnitName(name))).toEqual({ ...NOTHING, ...expected });
  });

  it.each([
    [
      'web.service',
      'WantedBy=%m.target',
      'line 4: WantedBy has a specifier that only the machine can expand: "%m.target"',
    ],
    ['web.service', 'WantedBy=../../etc', 'line 4: WantedBy is not a unit name: "../../etc"'],
    ['web.service', 'RequiredBy=a.target\nRequiredBy=db', 'line 5: RequiredBy is not a unit name: "db"'],
    ['web.service', 'Alias=web.socket', 'line 4: Alias is not a name of a service: "web.socket"'],
    [
      'web.service',
      'Alias=fleet-lease.service',
      'line 4: Alias is the name of a unit of fleet itself: "fleet-lease.service"',
    ],
    ['web@1.service', 'Alias=www.service', 'line 4: Alias is not for the same instance: "www.service"'],
    ['web@1.service', 'Alias=www@2.service', 'line 4: Alias is not for the same instance: "www@2.service"'],
    [
      'data.mount',
      'Alias=other.mount',
      'line 4: Alias is not for a mount, which has no other names: "other.mount"',
    ],
    ['web.service', 'Also=web/socket', 'line 4: Also is not a unit name: "web/socket"'],
  ])('of %s with %s is refused', (name, lines, problem) => {
    expect(() => checkInstall(fileOf(lines), parseUnitName(name))).toThrow(
      expect.objectContaining({
        code: 'unit-file',
        message: `Cannot read [Install] of "${name}", ${problem}`,
      }),
    );
  });

  it('of a template waits for its instances', () => {
    const check = (name: string) => () => checkInstall(fileOf('Alias=www@7.service'), parseUnitName(name));
    expect(check('web@.service')).not.toThrow();
    expect(check('web@7.service')).not.toThrow();
    expect(check('web@8.service')).toThrow(/same instance/);
  });
});
