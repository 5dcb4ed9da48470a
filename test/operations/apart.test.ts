import { expect, it } from 'vitest';
import { requestReport } from '../../src/output/request-report.ts';
import { makeScene, SLEEP } from './scene.ts';

it('a unit that needs one on another machine is named once, unless MachineOf= brings it there', async () => {
  const scene = await makeScene();
  const needs = (option: string, more = ''): string => `[Unit]\n${option}\n${SLEEP}${more}`;
  await scene.write('db.service', SLEEP);
  await scene.write('web.service', needs('Wants=nowhere.service\nRequires=db.service db.service'));
  await scene.write('after.service', needs('After=db.service\nConflicts=db.service'));
  await scene.write('beside.service', needs('BindsTo=db.service', '[X-Fleet]\nMachineOf=db.service\n'));
  const { apart: none } = await scene.start('db', 'beside');
  expect(none).toEqual([]);
  const request = await scene.start('web', 'after');
  expect(await scene.wanted()).toMatchObject({ 'db.service': 'launched m1', 'web.service': 'launched m3' });
  expect(requestReport('start', request).err).toEqual([
    'Warning: unit "web.service" has Requires=db.service in line 3, but db.service is on another machine: add MachineOf=db.service to [X-Fleet]',
  ]);
});
