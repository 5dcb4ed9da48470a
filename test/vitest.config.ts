import { defineConfig } from 'vitest/config';

export default defineConfig({
  plugins: [
    {
      // The bundler reads shell files as text; so do the tests.
      name: 'shell-text',
      transform: (code, id) => (id.endsWith('.sh') ? `export default ${JSON.stringify(code)}` : undefined),
    },
  ],
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['test/**/*.test.ts'],
    testTimeout: 20_000,
    hookTimeout: 120_000,
  },
});
