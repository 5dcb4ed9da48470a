// One bundle per binary, split so that a command loads only what it uses: start-up is won by laziness.
export default {
  input: { fleetctl: 'src/cli/main.ts' },
  platform: 'node',
  // ssh2 tries these native add-ons and does without them.
  external: ['cpu-features', /sshcrypto\.node$/, '@colors/colors'],
  moduleTypes: { '.sh': 'text' },
  output: {
    dir: 'dist',
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name]-[hash].js',
    cleanDir: true,
  },
};
