import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/base/hash.ts';
import { compareText } from '../../src/base/text.ts';
import { writeDocument } from '../../src/registry/documents.ts';
import { RegistryView } from '../../src/registry/view.ts';
import { growthOf } from '../support/operations.ts';

const HASH = 'a'.repeat(40);

/** A view of units with the texts that `textOf` gives. */
function viewOf(size: number, textOf: (index: number) => string): RegistryView {
  const texts = Array.from({ length: size }, (_, index) => textOf(index));
  const records = texts.flatMap((text, index) => {
    const digest = sha256(text);
    const unit = writeDocument('units/', { digest, hash: HASH, target: 'inactive' });
    return [
      [`units/web@${index}.service`, unit] as const,
      [`contents/${digest}`, writeDocument('contents/', { text })] as const,
    ];
  });
  const once = [...new Map(records)].map(([key, value]) => ({ key, value, revision: 1 }));
  return new RegistryView(
    1,
    once.sort((a, b) => compareText(a.key, b.key)),
  );
}

describe('a list of all units grows in proportion to their number', () => {
  it.each<[string, (index: number) => string]>([
    ['with one text', () => '[Service]\nExecStart=/bin/true\n'],
    ['with a text each', (index) => `[Service]\nExecStart=/bin/sleep ${index}\n[X-Fleet]\nGlobal=true\n`],
  ])('%s', async (_, textOf) => {
    const growth = await growthOf(50, (size) => {
      const view = viewOf(size, textOf);
      return [view.allUnits.length, view.unreadable.size, view.unconfirmed.size];
    });
    expect(growth).toBeGreaterThan(3.5);
    expect(growth).toBeLessThan(4.5);
  });
});
