import { expect, it } from 'vitest';
import { renderTable } from '../../src/output/table.ts';
import { growthOf } from '../support/operations.ts';

const COLUMNS = ['unit', 'machine', 'sub'].map((field, index) => ({
  field,
  value: (row: readonly string[]) => row[index] ?? '',
}));

it.each([
  ['ASCII', (index: number) => `unit-${index}.service`],
  ['wide characters, all different', (index: number) => `数据库-${index}`],
  ['wide characters, all the same', () => '数据库'],
])('the work for a table grows in proportion to its rows: %s', async (_, cell) => {
  const growth = await growthOf(300, async (size) => {
    const rows = Array.from({ length: size }, (__, index) => [cell(index), `m${index % 7}`, 'running']);
    await renderTable(COLUMNS, rows, { legend: true, full: false });
  });
  expect(growth).toBeGreaterThan(3.5);
  expect(growth).toBeLessThan(4.5);
});
