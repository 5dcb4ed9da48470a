import { describe, expect, it, vi } from 'vitest';
import { UNKNOWN_MACHINE } from '../../src/registry/edit.ts';
import { House } from './support.ts';

const soon = { timeout: 10_000, interval: 10 };

/** Two machines, and a third one that only the registry will have. */
async function begin() {
  const house = new House(['m1', 'm2']);
  await house.want('launched', '', 'a.service');
  await vi.waitFor(() => expect(house.runs('a.service')).toEqual(['m1']), soon);
  const names = (): readonly string[] =>
    (house.controller.snapshot?.machines ?? []).map(({ machine }) => machine.name).toSorted();
  return { house, names };
}

describe('a controller while the registry changes its machines', () => {
  it('uses another metadata at once, without another connection', async () => {
    const { house } = await begin();
    await house.registry.update((view) => {
      const known = view.machines.get('m2') ?? UNKNOWN_MACHINE;
      const place = { address: 'm2.example', metadata: { role: 'web' } };
      return [{ kind: 'put-machine', name: 'm2', known: { ...known, ...place } }];
    });
    await house.want('launched', 'MachineMetadata=role=web', 'b.service');
    await vi.waitFor(() => expect(house.runs('b.service')).toEqual(['m2']), soon);
  });

  it('follows a new name, and no unit moves', async () => {
    const { house, names } = await begin();
    await house.registry.update((view) => {
      const known = view.machines.get('m1') ?? UNKNOWN_MACHINE;
      return [
        { kind: 'delete-machine', name: 'm1', renamedTo: 'front' },
        { kind: 'put-machine', name: 'front', known: { ...known, address: 'm1.example' } },
      ];
    });
    await vi.waitFor(() => expect(names()).toEqual(['front', 'm2']), soon);
    await house.want('launched', 'MachineOf=a.service', 'c.service');
    await vi.waitFor(() => expect(house.runs('c.service')).toEqual(['m1']), soon);
    expect(house.runs('a.service')).toEqual(['m1']);
    expect(house.fakes.of('m1').log).not.toContain('stop a.service');
  });

  it('moves the units of a machine that is removed, and asks it no more', async () => {
    const { house, names } = await begin();
    await house.registry.update(() => [{ kind: 'delete-machine', name: 'm1' }]);
    await vi.waitFor(() => expect(names()).toEqual(['m2']), soon);
    await vi.waitFor(() => expect(house.runs('a.service')).toContain('m2'), soon);
    const { looks } = house.fakes.of('m1');
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(house.fakes.of('m1').looks).toBe(looks);
  });
});
