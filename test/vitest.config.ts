import { defineConfig } from 'vitest/config';
import { ClosingLine } from './support/closing-line.ts';

const shellText = {
  // The bundler reads shell files as text; so do the tests.
  name: 'shell-text',
  transform: (code: string, id: string) =>
    id.endsWith('.sh') ? `export default ${JSON.stringify(code)}` : undefined,
};

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    reporters: ['default', new ClosingLine()],
    projects: [
      {
        plugins: [shellText],
        test: {
          name: 'fast',
          include: ['test/**/*.test.ts'],
          exclude: ['test/e2e/**'],
          testTimeout: 30_000,
        },
      },
      {
        plugins: [shellText],
        test: {
          // Real machines: one file after the other, and after everything else.
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          globalSetup: 'test/e2e/setup.ts',
          fileParallelism: false,
          sequence: { groupOrder: 1 },
          testTimeout: 120_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
