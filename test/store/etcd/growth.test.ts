import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { submitFiles } from '../../../src/operations/submit.ts';
import { cat, history } from '../../../src/operations/unit-texts.ts';
import { createRegistry, type Registry } from '../../../src/registry/registry.ts';
import type { EtcdOptions } from '../../../src/store/etcd/options.ts';
import { openEtcdStore } from '../../../src/store/etcd/store.ts';
import { parseUnitName } from '../../../src/unit/unit-name.ts';
import { desiredUnit } from '../../support/builders.ts';
import { HAS_ETCD, TestEtcd } from '../../support/etcd.ts';
import { startBudgetProxy } from '../../support/proxies.ts';

const AUTHOR = { clock: { now: () => 1_000 }, author: 'me@here' };

describe.runIf(HAS_ETCD)('what etcd sends to a command about one unit', () => {
  let etcd: TestEtcd;
  const registries = new Map<number, EtcdOptions>();
  const SIZES = [300, 1200] as const;

  beforeAll(async () => {
    etcd = await TestEtcd.start();
    for (const size of SIZES) {
      const options = etcd.options();
      registries.set(size, options);
      const registry = createRegistry(openEtcdStore(options), AUTHOR);
      const units = Array.from({ length: size }, (_, index) =>
        desiredUnit(`u${index}.service`, '', {
          text: `[Service]\nExecStart=/bin/sleep ${'x'.repeat(200)} ${index}\n`,
        }),
      );
      await registry.update(() => units.map((unit) => ({ kind: 'put-unit', unit })));
      await registry.close();
    }
  });
  afterAll(() => etcd.end());

  /** The bytes that etcd sends for `work` on a registry of so many units. */
  async function bytesFor(size: number, work: (registry: Registry) => Promise<unknown>): Promise<number> {
    const proxy = await startBudgetProxy(etcd.members[0]?.port ?? 0);
    const endpoints = [{ host: '127.0.0.1', port: proxy.port }];
    const options = { ...(registries.get(size) as EtcdOptions), endpoints };
    const registry = createRegistry(openEtcdStore(options), AUTHOR);
    await work(registry);
    await registry.close();
    const bytes = proxy.boundaries.down.at(-1) ?? 0;
    proxy.close();
    return bytes;
  }

  const file = (name: string) => ({
    name: parseUnitName(name),
    own: { path: `/${name}`, content: '[Service]\nExecStart=/bin/true\n' },
    template: undefined,
    beside: new Set<string>(),
  });

  it.each<[string, (registry: Registry) => Promise<unknown>]>([
    ['cat', (registry) => cat(registry, 'u7.service')],
    ['history', (registry) => history(registry, 'u7.service')],
  ])('does not depend on the others: %s', async (_, work) => {
    const [small, large] = [await bytesFor(SIZES[0], work), await bytesFor(SIZES[1], work)];
    expect(small).toBeGreaterThan(1_000);
    expect(large).toBeLessThan(1.1 * small);
  });

  it('is only the documents of units, without texts and histories, to submit one', async () => {
    const files = { locals: [file('new.service')], replace: false };
    const submit = (registry: Registry) => submitFiles(registry, files);
    const whole = await bytesFor(SIZES[1], (registry) => registry.load());
    expect(await bytesFor(SIZES[1], submit)).toBeLessThan(whole / 2);
  });
});
