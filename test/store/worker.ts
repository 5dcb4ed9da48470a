import { writeSync } from 'node:fs';
import { openFileStore } from '../../src/store/file.ts';

// A process that counts: adds one to the key "counter" by compare-and-swap and notes it below "done/<name>/",
// in one commit, `times` times. It prints a line for every commit that was acknowledged.
// Arguments: folder, name, times.
const [folder = '', name = '', times = ''] = process.argv.slice(2);
const store = openFileStore(folder);

for (let i = 0; i < Number(times); ) {
  const counter = await store.get('counter');
  const result = await store.commit([
    {
      kind: 'put',
      key: 'counter',
      value: `${Number(counter?.value ?? 0) + 1}`,
      ifRevision: counter?.revision ?? 0,
    },
    { kind: 'put', key: `done/${name}/${i}`, value: '', ifRevision: 0 },
  ]);
  if (result.kind === 'committed') writeSync(1, `${i++}\n`);
}
await store.close();
