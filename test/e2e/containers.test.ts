import { readFileSync } from 'node:fs';
import { beforeAll, expect, it } from 'vitest';
import { cluster, inside, onMachines, SUBNET, until } from '../support/cluster.ts';
import { done, hire } from './operator.ts';

const EXAMPLE = new URL('../../examples/myapp.service', import.meta.url);
const JOURNAL = 'journalctl --sync; journalctl --quiet --output=cat --unit=myapp.service';

onMachines('the unit of the systemd guide that runs a container', () => {
  const operator = hire();
  let obstacle: string | undefined;

  beforeAll(async () => {
    obstacle = await whyNoContainers();
    operator.write('myapp.service', readFileSync(EXAMPLE));
  });

  it('starts its container, which says hello', async ({ skip }) => {
    skip(obstacle !== undefined, obstacle);
    expect(await operator.fleetctl('start', 'myapp.service')).toEqual(
      done(`Unit myapp.service launched on 00000000.../${SUBNET}.1`),
    );
    await until('k1', `(${JOURNAL}) | grep -q "^Hello World$"`);
    expect(await inside('k1', 'podman ps --format "{{.Names}} {{.Image}}"')).toMatch(/^busybox1 .*busybox/);
    expect(await operator.fleetctl('list-units', '--no-legend')).toEqual(
      done(`myapp.service  00000000.../${SUBNET}.1  active  running`),
    );
  });

  it('stops it with its ExecStop, and leaves nothing of it when it is destroyed', async ({ skip }) => {
    skip(obstacle !== undefined, obstacle);
    expect(await operator.fleetctl('destroy', 'myapp')).toEqual(done('Destroyed myapp.service'));
    // What "docker stop" prints; systemd alone would have killed the container and said nothing of it.
    expect(await inside('k1', JOURNAL)).toMatch(/^busybox1$/m);
    expect(await inside('k1', 'podman ps --quiet; ls /etc/systemd/system | grep myapp || true')).toBe('');
  });
});

/** Makes containers work in the machines; returns what is in the way on a box that cannot, where Docker itself is for one. */
async function whyNoContainers(): Promise<string | undefined> {
  try {
    await cluster('containers');
    return undefined;
  } catch (error) {
    const { code, stderr } = error as { readonly code?: unknown; readonly stderr?: string };
    if (code === 2) return stderr?.trim();
    throw error;
  }
}
