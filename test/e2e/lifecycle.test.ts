import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { sha256 } from '../../src/base/hash.ts';
import { inside, insideAll, MACHINES, onMachines, SUBNET } from '../support/cluster.ts';
import { createOperator, done, failed, type Outcome, SLEEPER, service } from './operator.ts';

const FILES = ['list-unit-files', '--no-legend', '--fields=unit,dstate,state,tmachine'];
const UNITS = ['list-units', '--no-legend'];

function noSuchUnit(name: string, stdout = ''): Outcome {
  return failed(
    4,
    `
    Error: No such unit: "${name}"
    hint: Units in the registry: fleetctl list-unit-files
    `,
    stdout,
  );
}

onMachines('the life cycle of a unit', () => {
  const operator = createOperator();

  it('goes from submit through load, start, stop and unload to destroy', async () => {
    operator.write('web.service', SLEEPER);
    expect(await operator.fleetctl('submit', 'web.service')).toEqual(done('Unit web.service inactive'));
    expect(await operator.fleetctl(...FILES)).toEqual(done('web.service  inactive  inactive  -'));
    expect(await operator.fleetctl(...UNITS)).toEqual(done());

    expect(await operator.fleetctl('load', 'web')).toEqual(
      done(`Unit web.service loaded on 00000000.../${SUBNET}.1`),
    );
    expect(await operator.fleetctl(...FILES)).toEqual(
      done(`web.service  loaded  loaded  00000000.../${SUBNET}.1`),
    );
    expect(await operator.fleetctl(...UNITS)).toEqual(
      done(`web.service  00000000.../${SUBNET}.1  inactive  dead`),
    );

    expect(await operator.fleetctl('start', 'web')).toEqual(
      done(`Unit web.service launched on 00000000.../${SUBNET}.1`),
    );
    expect(await operator.fleetctl(...UNITS)).toEqual(
      done(`web.service  00000000.../${SUBNET}.1  active  running`),
    );
    expect(await inside('k1', 'cat /etc/systemd/system/web.service')).toBe(SLEEPER);

    expect(await operator.fleetctl('stop', 'web')).toEqual(
      done(`Unit web.service loaded on 00000000.../${SUBNET}.1`),
    );
    expect(await operator.fleetctl(...UNITS)).toEqual(
      done(`web.service  00000000.../${SUBNET}.1  inactive  dead`),
    );

    expect(await operator.fleetctl('unload', 'web')).toEqual(done('Unit web.service inactive'));
    expect(await operator.fleetctl(...FILES)).toEqual(done('web.service  inactive  inactive  -'));
    expect(await inside('k1', 'ls /etc/systemd/system/web.service 2>/dev/null || echo none')).toBe('none\n');

    expect(await operator.fleetctl('destroy', 'web')).toEqual(done('Destroyed web.service'));
    expect(await operator.fleetctl(...FILES)).toEqual(done());
    expect(await operator.fleetctl('cat', 'web')).toEqual(noSuchUnit('web.service'));
  });

  it('can be done in one step, and every step can be repeated', async () => {
    operator.write('web.service', SLEEPER);
    for (const _ of [1, 2]) {
      expect(await operator.fleetctl('start', 'web')).toEqual(
        done(`Unit web.service launched on 00000000.../${SUBNET}.1`),
      );
    }
    const pid = await inside('k1', 'systemctl show --property=MainPID web.service');
    expect(await operator.fleetctl('load', 'web')).toEqual(
      done(`Unit web.service launched on 00000000.../${SUBNET}.1`),
    );
    expect(await inside('k1', 'systemctl show --property=MainPID web.service')).toBe(pid);
    expect(await operator.fleetctl('destroy', 'web')).toEqual(done('Destroyed web.service'));
    expect(await insideAll(MACHINES, 'systemctl is-active web.service || true')).toEqual(
      Array(3).fill('inactive\n'),
    );
    expect(await operator.fleetctl('destroy', 'web')).toEqual(noSuchUnit('web.service'));
  });

  it('accepts a unit name with and without suffix, and a path', async () => {
    operator.write('units/a.service', SLEEPER);
    operator.write('units/b.service', SLEEPER);
    expect(await operator.fleetctl('submit', 'units/a', `${operator.folder}/units/b.service`)).toEqual(
      done('Unit a.service inactive\nUnit b.service inactive'),
    );
    expect(await operator.fleetctl('start', 'a', 'b.service', 'a.service')).toEqual(
      done(`
        Unit a.service launched on 00000000.../${SUBNET}.1
        Unit b.service launched on 00000000.../${SUBNET}.2
      `),
    );
    expect(await operator.fleetctl('destroy', 'units/a', 'b')).toEqual(
      done('Destroyed a.service\nDestroyed b.service'),
    );
  });

  it('uses the text of the registry when the local file differs, and prints a warning', async () => {
    operator.write('web.service', SLEEPER);
    await operator.fleetctl('submit', 'web');
    operator.write('web.service', `# changed\n${SLEEPER}`);
    expect(await operator.fleetctl('submit', 'web')).toEqual(
      failed(
        0,
        `
        Warning: unit "web.service" in the registry differs from file "HERE/web.service"; the text of the registry is used
        hint: Add --replace to use the file
        `,
      ),
    );
    expect(await operator.fleetctl('cat', 'web')).toEqual(done(SLEEPER));
    await operator.fleetctl('destroy', 'web');
  });
});

onMachines('a unit text with characters that shells and terminals interpret', () => {
  const operator = createOperator();

  it('is on the machine and in the registry unchanged, to the byte', async () => {
    const odd = `"' \\ $(reboot) \`id\` \${HOME} $1 %% %s \\n \\0 \\c ! * ? ~ ; | & < > \u001b[31m \u00e9 \u{1f680}`;
    const text = `# ${odd}\n${SLEEPER}#${'x'.repeat(1_000_000)}\n# ${odd}\r\n\n\n#`;
    const path = operator.write('odd.service', text);
    expect(await operator.fleetctl('start', 'odd')).toEqual(
      done(`Unit odd.service launched on 00000000.../${SUBNET}.1`),
    );
    expect(await inside('k1', 'sha256sum </etc/systemd/system/odd.service')).toBe(`${sha256(text)}  -\n`);
    const cat = await operator.launch(['cat', 'odd']).ended;
    expect(sha256(cat.stdout)).toBe(sha256(readFileSync(path, 'utf8')));
    await operator.fleetctl('destroy', 'odd');
  });

  it('can have such characters in its name', async () => {
    const name = 'odd\\x2dname:1_2.x@a\\x20b@c-d.service';
    operator.write(name, SLEEPER);
    expect(await operator.fleetctl('start', name)).toEqual(
      done(`Unit ${name} launched on 00000000.../${SUBNET}.1`),
    );
    expect(await operator.fleetctl(...UNITS)).toEqual(
      done(`${name}  00000000.../${SUBNET}.1  active  running`),
    );
    expect(await operator.fleetctl('destroy', name)).toEqual(done(`Destroyed ${name}`));
    expect(await inside('k1', 'ls /etc/systemd/system | grep odd || true')).toBe('');
  });
});

onMachines('instances of a template', () => {
  const operator = createOperator();
  const template = service('ExecStart=/bin/sh -c "echo I am %i of %p; exec sleep 100000"');

  it('start from the local template, and from the registry once it was submitted', async () => {
    operator.write('web@.service', template);
    expect(await operator.fleetctl('start', 'web@1', 'web@2.service')).toEqual(
      done(`
        Unit web@1.service launched on 00000000.../${SUBNET}.1
        Unit web@2.service launched on 00000000.../${SUBNET}.2
      `),
    );
    expect(await inside('k2', 'journalctl --quiet --output=cat --unit=web@2.service')).toContain(
      'I am 2 of web\n',
    );

    expect(await operator.fleetctl('submit', 'web@.service')).toEqual(done('Unit web@.service inactive'));
    const elsewhere = operator.launch(['start', 'web@3'], { cwd: '..' });
    expect((await elsewhere.ended).stdout).toMatch(
      /^Unit web@3\.service launched on .{8}\.\.\.\/127\.76\.\d\.3\n$/,
    );
    expect(await operator.fleetctl(...FILES)).toEqual(
      done(`
        web@.service   inactive  inactive  -
        web@1.service  launched  launched  00000000.../${SUBNET}.1
        web@2.service  launched  launched  00000000.../${SUBNET}.2
        web@3.service  launched  launched  00000000.../${SUBNET}.3
      `),
    );
  });

  it('can be started although the template cannot', async () => {
    expect(await operator.fleetctl('start', 'web@')).toEqual(
      failed(
        2,
        `
        Error: Cannot start template "web@.service": it is a pattern for units, not a unit
        hint: Name an instance of it: fleetctl start web@1.service; a new text of it: fleetctl submit --replace web@.service
        `,
      ),
    );
  });

  it('are destroyed one by one', async () => {
    expect(await operator.fleetctl('destroy', 'web@1', 'web@2', 'web@3', 'web@')).toEqual(
      done(
        'Destroyed web@.service\nDestroyed web@1.service\nDestroyed web@2.service\nDestroyed web@3.service',
      ),
    );
    expect(await operator.fleetctl(...UNITS)).toEqual(done());
  });
});

onMachines('an invalid unit among valid ones', () => {
  const operator = createOperator();

  it('does not prevent the others', async () => {
    operator.write('good.service', SLEEPER);
    operator.write('fine.service', SLEEPER);
    operator.write('broken.service', 'ExecStart=/bin/true\n');
    expect(await operator.fleetctl('start', 'good', 'broken', 'missing', 'fine')).toEqual(
      failed(
        1,
        `
        Error: Cannot read unit file "HERE/broken.service", line 1: "ExecStart=/bin/true" is before the first section
        Error: Cannot find unit "missing.service": it is not in the registry and not on disk
        hint: Units in the registry: fleetctl list-unit-files
        `,
        `
        Unit fine.service launched on 00000000.../${SUBNET}.1
        Unit good.service launched on 00000000.../${SUBNET}.2
        `,
      ),
    );
    expect(await operator.fleetctl('stop', 'good', 'missing', 'fine')).toEqual(
      noSuchUnit(
        'missing.service',
        `
        Unit fine.service loaded on 00000000.../${SUBNET}.1
        Unit good.service loaded on 00000000.../${SUBNET}.2
        `,
      ),
    );
    expect(await operator.fleetctl('destroy', 'good', 'missing', 'fine')).toEqual(
      noSuchUnit('missing.service', 'Destroyed fine.service\nDestroyed good.service'),
    );
  });

  it('is reported differently from an invalid name, which stops the command before any change', async () => {
    expect(await operator.fleetctl('start', 'good', 'no spaces')).toEqual(
      failed(
        2,
        `
        Error: Cannot use "no spaces" as a unit name: it must not contain " "
        hint: A unit name consists of letters, digits and : - _ . \\ @, as in web@1.service
        `,
      ),
    );
    expect(await operator.fleetctl(...FILES)).toEqual(done());
  });
});
