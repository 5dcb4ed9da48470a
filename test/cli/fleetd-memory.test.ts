import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';

const FLEETD = new URL('../../bin/fleetd', import.meta.url).pathname;
/** Makes garbage, of which a part survives for a moment, and prints the size of the space for new objects in MiB. */
const PROBE = `process.once('exit', () => {
  const kept = [];
  for (let n = 0; n < 3_000_000; n++) kept[n % 100_000] = { n };
  const spaces = process.getBuiltinModule('node:v8').getHeapSpaceStatistics();
  const { space_size: size } = spaces.find(({ space_name: name }) => name === 'new_space');
  console.error(kept.length, size / 2 ** 20);
})`;

it('fleetd keeps the space for new objects small', () => {
  const argv = ['--import', `data:text/javascript,${encodeURIComponent(PROBE)}`, FLEETD, '--version'];
  const { stdout, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8' });
  expect(stdout).toMatch(/^fleetd version /);
  const [kept, size] = stderr.split(' ').map(Number);
  expect(kept).toBe(100_000);
  expect(size).toBeLessThanOrEqual(4);
});
