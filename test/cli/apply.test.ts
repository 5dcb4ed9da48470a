import { expect, it } from 'vitest';
import { type Desk, makeDesk, REFUSING } from './desk.ts';

const UNIT = '[Service]\nExecStart=/bin/true\n';

async function deskWith(...files: readonly string[]): Promise<Desk> {
  const desk = await makeDesk(`registry = file:registry\n${REFUSING}`);
  for (const file of files) await desk.write(file, UNIT);
  return desk;
}

it('apply needs a terminal, --yes or --plan, and changes nothing without them', async () => {
  const desk = await deskWith('units/a.service');
  expect(await desk.run(['apply', 'units'])).toEqual({
    status: 2,
    out: '',
    err: 'Error: Cannot ask whether to apply the plan: there is no terminal\nhint: Add --yes to apply it without a question; or --plan ID, with an id of "fleetctl plan"\n',
  });
  expect((await desk.run(['cat', 'a'])).status).toBe(4);
});

it('plan reports a folder that is missing, and several paths without a set', async () => {
  const desk = await deskWith('units/a.service', 'more/b.service');
  expect(await desk.run(['plan', 'gone'])).toMatchObject({
    status: 2,
    err: 'Error: Cannot read "gone": no such file or directory\nhint: Name a folder with unit files, or a unit file\n',
  });
  expect(await desk.run(['plan', 'units', 'more'])).toMatchObject({
    status: 2,
    err: expect.stringContaining('hint: Name the set: --set NAME'),
  });
});

it('plan lists problems of files, makes no plan, and exits with 1', async () => {
  const desk = await deskWith('units/a.service', 'units/x/a.service');
  const { status, out, err } = await desk.run(['plan', 'units']);
  expect([status, out]).toEqual([1, '']);
  expect(err).toBe(
    'Error: Two files for unit "a.service": "units/a.service" and "units/x/a.service"\nhint: Remove one of them\n',
  );
});

it('plan has the status of changes although no machine answers, and stores nothing', async () => {
  const desk = await deskWith('units/a.service');
  const { status, out, err } = await desk.run(['plan', 'units']);
  expect(status).toBe(6);
  expect(out).toContain('+ a.service  launched on no machine: no machine fits\n    not m1: ');
  expect(err).toContain('Error: Cannot place unit "a.service": no machine fits');
  expect((await desk.run(['cat', 'a'])).status).toBe(4);
});

it('apply reports a failure once, as it is and not as it is expected', async () => {
  const desk = await deskWith('units/a.service');
  const { out, err } = await desk.run(['apply', 'units', '--yes']);
  expect(out).toContain('+ a.service  launched on no machine');
  expect(err.match(/Error: Cannot place unit "a.service"/g)).toHaveLength(1);
  expect(err).toContain('hint: It stays launched in the registry');
});

it('diff shows texts without a machine, and exits with 6 if they differ', async () => {
  const desk = await deskWith('units/a.service', 'units/b.service');
  expect((await desk.run(['submit', 'units/a.service', 'units/b.service'])).status).toBe(0);
  expect(await desk.run(['diff', 'units'])).toEqual({ status: 0, out: '', err: '' });
  await desk.write('units/b.service', `${UNIT}Nice=1\n`);
  expect(await desk.run(['diff', 'units'])).toEqual({
    status: 6,
    out: '--- registry:b.service\n+++ units/b.service\n@@ -1,2 +1,3 @@\n [Service]\n ExecStart=/bin/true\n+Nice=1\n',
    err: '',
  });
  expect((await desk.run(['diff', 'units/a.service'])).status).toBe(0);
});

it('export writes a folder without differences, and no folder with files', async () => {
  const desk = await deskWith('units/a.service');
  await desk.run(['submit', 'units/a.service']);
  expect(await desk.run(['export', 'copy'])).toEqual({
    status: 0,
    out: 'Exported 1 unit file to copy\n',
    err: 'hint: Plan it: fleetctl plan copy\n',
  });
  expect((await desk.run(['diff', 'copy'])).status).toBe(0);
  expect(await desk.run(['export', 'units'])).toMatchObject({
    status: 2,
    err: 'Error: Cannot export to "units": the folder is not empty\nhint: Name a new folder\n',
  });
});

it.each(['garbage', '', '3f9a2c41d05e77aa'])('apply refuses --plan=%s', async (id) => {
  const desk = await deskWith('units/a.service');
  const { status, out, err } = await desk.run(['apply', 'units', `--plan=${id}`]);
  expect([status, out]).toEqual([2, '']);
  expect(err).toContain(`Cannot apply plan "${id}": it is not the id of a plan`);
});
