import type { RegistryOptions } from './edit.ts';
import { changesFor, type Registry } from './registry.ts';
import type { RegistryView } from './view.ts';

/**
 * A registry that starts as `registry` is and keeps every change to itself: what a dry run writes to. Revisions
 * go on from the real one, so tokens are those that the next change would get.
 */
export function previewRegistry(registry: Registry, options: RegistryOptions): Registry {
  let current: Promise<RegistryView> | undefined;
  const load = (): Promise<RegistryView> => {
    current ??= registry.load();
    return current;
  };
  return {
    load,
    async update(decide) {
      const view = await load();
      const edits = decide(view);
      if (edits.length > 0) {
        current = Promise.resolve(view.after(changesFor(edits, view, options), view.revision + 1));
      }
      return load();
    },
    waitForChange: (view, signal) => registry.waitForChange(view, signal),
    close: () => registry.close(),
  };
}
