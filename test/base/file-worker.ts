import { readTrustedText } from '../../src/base/trusted-file.ts';

process.stdout.write(readTrustedText(process.argv[2] ?? ''));
