import { processStreams } from '../../src/cli/streams.ts';

const streams = processStreams();
streams.err('a warning\n');
streams.out('x'.repeat(100_000), 'what was done\n');
