import { expect, it } from 'vitest';
import { addressOf, inside, onMachines, until } from '../support/cluster.ts';
import { createOperator } from './operator.ts';

const LOOP = '[Service]\nExecStart=/bin/sleep infinity\n';
const HERE = '[X-Fleet]\nMachineMetadata=name=k1\n';
const JOB = `[Service]\nType=oneshot\nExecStart=/bin/sh -c "sleep 90; echo over"\n`;

/** `unit active` for every unit in the list. */
async function listed(operator: ReturnType<typeof createOperator>): Promise<readonly string[]> {
  const { stdout } = await operator.fleetctl('list-units', '--no-legend', '--fields=unit,active');
  return stdout
    .trim()
    .split('\n')
    .map((line) => line.replace(/\s+/, ' '));
}

/** The invocation of a unit on k1. */
function runOf(unit: string): Promise<string> {
  return inside('k1', `systemctl show --value --property=InvocationID ${unit}`);
}

onMachines('an update of a unit whose required unit fails', () => {
  const operator = createOperator({ metadata: { k1: 'name=k1' } });

  it('is untried, and is started when the other one can start', async () => {
    const text = `[Unit]\nBindsTo=peer.service\nAfter=peer.service\n${LOOP}${HERE}`;
    const peer = '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/bin/test ! -e /run/bad\n';
    await inside('k1', `printf '%s' '${peer}' >/etc/systemd/system/peer.service && systemctl daemon-reload`);
    operator.write('bound.service', text);
    expect(await operator.fleetctl('start', 'bound')).toMatchObject({ status: 0 });
    await inside('k1', 'touch /run/bad && systemctl stop peer');
    operator.write('bound.service', `# new\n${text}`);
    expect(await operator.fleetctl('start', '--replace', 'bound')).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(
        /: it was not started, because peer\.service has failed, which it requires\n.*\n.*\nhint: Its text was not run/,
      ),
    });
    const history = () => operator.fleetctl('history', 'bound', '--no-legend', '--fields=result');
    expect((await history()).stdout).toBe('untried\ngood\n');
    await inside('k1', 'rm /run/bad');
    expect(await operator.fleetctl('reconcile')).toMatchObject({ status: 0 });
    expect((await history()).stdout).toBe('good\ngood\n');
    await operator.fleetctl('destroy', 'bound');
    await inside(
      'k1',
      'systemctl stop peer && rm /etc/systemd/system/peer.service && systemctl daemon-reload',
    );
  });
});

onMachines('a unit that another unit starts', () => {
  const operator = createOperator({ metadata: { k1: 'name=k1' } });

  it('keeps running through passes, loads and changes of other units', async () => {
    operator.write('job.service', `${JOB}${HERE}`);
    operator.write('job.timer', '[Timer]\nOnActiveSec=200ms\nAccuracySec=1ms\n');
    operator.write('watched.service', `${JOB}${HERE}`);
    operator.write('watched.path', '[Path]\nPathExists=/run/watched\n');
    operator.write(
      'puller.service',
      `[Unit]\nWants=pulled.service\nOnFailure=handler.service\n${LOOP}${HERE}`,
    );
    operator.write('pulled.service', `${LOOP}${HERE}`);
    operator.write('handler.service', `${LOOP}${HERE}`);
    operator.write('other.service', LOOP);
    await operator.fleetctl('load', 'pulled', 'handler');
    expect(
      await operator.fleetctl('start', 'job.service', 'job.timer', 'watched.path', 'puller', 'other'),
    ).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('job.timer starts job.service when it elapses'),
    });
    await inside('k1', 'touch /run/watched');
    await inside('k1', 'systemctl start handler.service');
    for (const unit of ['job', 'watched', 'pulled', 'handler'])
      await until('k1', `systemctl show --property=ActiveState ${unit}.service | grep -q activ`);
    const units = ['job.service', 'watched.service', 'pulled.service', 'handler.service'];
    const before = await Promise.all(units.map(runOf));
    await operator.fleetctl('reconcile');
    await operator.fleetctl('load', 'job', 'watched', 'pulled', 'handler');
    operator.write('other.service', `# new\n${LOOP}`);
    await operator.fleetctl('submit', '--replace', 'other');
    await operator.fleetctl('drain', 'k2');
    await operator.fleetctl('uncordon', 'k2');
    expect(await Promise.all(units.map(runOf))).toEqual(before);
    expect(await listed(operator)).toEqual(
      expect.arrayContaining(['job.service activating', 'pulled.service active', 'handler.service active']),
    );
    // A new text is used from the next start on.
    operator.write('job.service', `# new\n${JOB}${HERE}`);
    expect((await operator.fleetctl('submit', '--replace', 'job')).stdout).toMatch(
      /keeps running with its previous text/,
    );
    expect(await runOf('job.service')).toBe(before[0]);
    await inside('k1', 'rm /run/watched');
    await operator.fleetctl('stop', 'job', 'watched', 'handler');
    expect(await listed(operator)).toEqual(
      expect.arrayContaining(['job.service failed', 'job.timer active', 'watched.service failed']),
    );
    expect((await operator.fleetctl('destroy', '*')).status).toBe(0);
  });

  it('is started once when only it is started, also by the socket of a template', async () => {
    operator.write('once.service', '[Service]\nType=oneshot\nExecStart=/bin/sh -c "echo x >>/run/once"\n');
    operator.write('once.timer', `[Timer]\nOnCalendar=monthly\n${HERE}`);
    operator.write('echo.socket', `[Socket]\nListenStream=${addressOf('k1')}:7007\nAccept=yes\n${HERE}`);
    operator.write('echo@.service', '[Service]\nExecStart=/bin/cat\nStandardInput=socket\n');
    expect((await operator.fleetctl('start', 'once.service', 'once.timer', 'echo.socket')).status).toBe(0);
    expect((await operator.fleetctl('start', 'once')).stdout).toMatch(
      /^Unit once.service ran to success on/m,
    );
    await operator.fleetctl('reconcile');
    expect(await inside('k1', 'cat /run/once')).toBe('x\n');
    expect(
      await inside(
        'k1',
        `printf hello | bash -c 'exec 3<>/dev/tcp/${addressOf('k1')}/7007; cat >&3; head -c 5 <&3'`,
      ),
    ).toBe('hello');
    expect(await operator.fleetctl('destroy', 'once')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('"once.timer", which is launched, starts it'),
    });
    expect(
      (await operator.fleetctl('destroy', 'echo.socket', 'echo@.service', 'once', 'once.timer')).status,
    ).toBe(0);
    expect(await inside('k1', 'ls /etc/systemd/system /var/lib/fleet/units')).not.toMatch(/echo|once/);
  });
});

onMachines('units that depend on each other', () => {
  const operator = createOperator({ machines: ['k1', 'k2'], metadata: { k1: 'name=k1' } });

  it.each(['PartOf', 'Requires', 'BindsTo'])('run again after a replacement: %s=', async (option) => {
    operator.write('base.service', `${LOOP}${HERE}`);
    operator.write(
      'part.service',
      `[Unit]\n${option}=base.service\nAfter=base.service\n${LOOP}[X-Fleet]\nMachineOf=base.service\n`,
    );
    await operator.fleetctl('start', 'base', 'part');
    operator.write('base.service', `# ${option}\n${LOOP}${HERE}`);
    expect(await operator.fleetctl('start', '--replace', 'base')).toMatchObject({ status: 0 });
    expect(await listed(operator)).toEqual(['base.service active', 'part.service active']);
    await operator.fleetctl('rollback', 'base');
    expect(await listed(operator)).toEqual(['base.service active', 'part.service active']);
    const stop = await operator.fleetctl('stop', 'base');
    expect(stop.stderr).toMatch(`(${option}=base.service in line 2 of "part.service")`);
    expect(await listed(operator)).toEqual(['base.service active', 'part.service active']);
    expect((await operator.fleetctl('reconcile')).stdout).toBe('Nothing to do\n');
    await operator.fleetctl('destroy', 'base', 'part');
  });

  it('are not stopped in part, by any of their names, or by a unit that upholds them', async () => {
    const write = (name: string, unit: string, service = '', fleet = HERE): string =>
      operator.write(`${name}.service`, `[Unit]\nDescription=x\n${unit}${LOOP}${service}${fleet}`);
    write('db', '', '[Install]\nAlias=sql.service\n');
    write('app', 'BindsTo=sql.service\nAfter=sql.service\n', '', '[X-Fleet]\nMachineOf=sql.service\n');
    write('side', 'PartOf=app.service\n');
    write('held', '', 'WorkingDirectory=/run/held\nSlice=held-inner.slice\n');
    operator.write('run-held.mount', `[Mount]\nWhat=tmpfs\nWhere=/run/held\nType=tmpfs\n${HERE}`);
    operator.write('held.slice', `[Unit]\nDescription=x\n${HERE}`);
    const units = ['db', 'app', 'side', 'held', 'run-held.mount', 'held.slice'];
    expect((await operator.fleetctl('start', ...units)).status).toBe(0);
    const runs = (): Promise<readonly string[]> =>
      Promise.all(['db', 'app', 'side', 'held'].map((name) => runOf(`${name}.service`)));
    const before = await runs();
    for (const verb of ['stop', 'unload', 'destroy']) {
      const { status, stderr } = await operator.fleetctl(verb, 'db', 'app');
      const hint = `hint: Name all of them: fleetctl ${verb} side.service app.service db.service`;
      expect([status, stderr.match(/^hint: .*/gm)]).toEqual([1, [hint, hint]]);
    }
    expect((await operator.fleetctl('stop', 'run-held.mount')).stderr).toMatch(
      '(WorkingDirectory=/run/held in line',
    );
    expect((await operator.fleetctl('stop', 'held.slice')).stderr).toMatch('(Slice=held-inner.slice in line');
    write('rival', 'Conflicts=sql.service\n');
    expect((await operator.fleetctl('start', 'rival')).stderr).toMatch(
      'Conflicts=sql.service in line 3 of "rival.service"',
    );
    expect((await operator.fleetctl('reconcile')).status).toBe(1);
    expect(await runs()).toEqual(before);
    await operator.fleetctl('destroy', 'rival');
    operator.write('run-held.mount', `# 2\n[Mount]\nWhat=tmpfs\nWhere=/run/held\nType=tmpfs\n${HERE}`);
    operator.write('held.slice', `# 2\n[Unit]\nDescription=x\n${HERE}`);
    expect((await operator.fleetctl('start', '--replace', 'run-held.mount', 'held.slice')).status).toBe(0);
    expect(await listed(operator)).toContain('held.service active');
    expect((await operator.fleetctl('destroy', '*')).status).toBe(0);
  });

  it('that conflict stop each other once, not in turns', async () => {
    operator.write('one.service', `[Unit]\nConflicts=two.service\n${LOOP}${HERE}`);
    operator.write('two.service', `${LOOP}${HERE}`);
    await operator.fleetctl('start', 'one');
    const second = await operator.fleetctl('start', 'two');
    expect(second.status).toBe(1);
    expect(second.stderr).toMatch('Conflicts=two.service in line 2 of "one.service"');
    const run = await runOf('one.service');
    await operator.fleetctl('reconcile');
    await operator.fleetctl('reconcile');
    expect(await runOf('one.service')).toBe(run);
    await operator.fleetctl('destroy', 'one', 'two');
  });

  it('move before a replaced unit stops', async () => {
    operator.write('old.service', LOOP);
    await operator.fleetctl('start', 'old');
    operator.write('new.service', `${LOOP}[X-Fleet]\nReplaces=old.service\n`);
    expect((await operator.fleetctl('start', 'new')).status).toBe(0);
    expect(await listed(operator)).toEqual(['new.service active', 'old.service active']);
    await operator.fleetctl('destroy', 'old', 'new');
  });
});
