import { describe, expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import {
  type Document,
  type DocumentKind,
  readDocument,
  writeDocument,
} from '../../src/registry/documents.ts';

const DIGEST = 'd'.repeat(64);
const HASH = '8c2d57110ebadc563d8409054afa5149b06db453';
const MACHINE = '148a18ff6e954cd892dac9de9bb90d5a';

const DOCUMENTS: readonly (readonly [string, DocumentKind, Document<DocumentKind>])[] = [
  ['the cluster', 'cluster', { id: '5f0c6c1e-0000-4000-8000-000000000001' }],
  ['a unit that is nowhere', 'units/', { digest: DIGEST, hash: HASH, target: 'inactive' }],
  ['a unit on a machine', 'units/', { digest: DIGEST, hash: HASH, target: 'launched', machine: MACHINE }],
  ['a text', 'contents/', { text: '[Unit]\r\nDescription="ü" 🚢 \\ \u0001\u2028\n' }],
  ['an empty text', 'contents/', { text: '' }],
  [
    'a history',
    'history/',
    { entries: [{ digest: DIGEST, hash: HASH, at: 1_700_000_000_000, by: 'me@here' }] },
  ],
  ['a machine that answers', 'machines/', { id: MACHINE }],
  ['a machine that never answered', 'machines/', { silentSince: 1_700_000_000_000 }],
  ['a turn', 'turn', {}],
];

/** The FleetError that reading `text` throws. */
function errorOf(kind: DocumentKind, text: string): FleetError {
  try {
    readDocument(kind, 'units/web.service', text);
  } catch (error) {
    if (error instanceof FleetError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('documents', () => {
  it.each(DOCUMENTS)('come back as they were written: %s', (_, kind, document) => {
    expect(readDocument(kind, 'key', writeDocument(kind, document))).toEqual(document);
  });

  it('say their version', () => {
    expect(JSON.parse(writeDocument('turn', {}))).toEqual({ version: 1 });
  });

  it('give what this program knows of them, and leave out the rest', () => {
    const text = JSON.stringify({ version: 1, id: 'x', colour: 'red' });
    expect(readDocument('cluster', 'cluster', text)).toEqual({ id: 'x' });
  });

  it('of a newer version are refused with the way out, whatever they hold', () => {
    for (const text of ['{"version":2}', '{"version":2,"id":"x"}', '{"version":1.5}']) {
      const error = errorOf('cluster', text);
      expect(error).toMatchObject({ code: 'registry-newer', hint: 'Update fleet here' });
      expect(error.message).toMatch(
        /^Cannot read "units\/web.service" of the registry: it was written by a newer fleet: version [\d.]+, this one reads up to 1$/,
      );
    }
  });

  it.each([
    ['no text', ''],
    ['half of one', '{"version":1,"digest":"dd'],
    ['no object', '17'],
    ['nothing', 'null'],
    ['a list', '[]'],
    ['no version', JSON.stringify({ digest: DIGEST, hash: HASH, target: 'loaded' })],
    [
      'a version that is not a number',
      JSON.stringify({ version: '1', digest: DIGEST, hash: HASH, target: 'loaded' }),
    ],
    ['an unknown target state', JSON.stringify({ version: 1, digest: DIGEST, hash: HASH, target: 'paused' })],
    ['no digest', JSON.stringify({ version: 1, hash: HASH, target: 'loaded' })],
    ['a digest that is too short', JSON.stringify({ version: 1, digest: 'd', hash: HASH, target: 'loaded' })],
    [
      'a machine that is a name',
      JSON.stringify({ version: 1, digest: DIGEST, hash: HASH, target: 'loaded', machine: 'web-1' }),
    ],
  ])('that are damaged are refused by their key: %s', (_, text) => {
    const error = errorOf('units/', text);
    expect(error.code).toBe('registry-corrupt');
    expect(error.message).toMatch(/^Cannot read "units\/web.service" of the registry: [^:\s]/);
    expect(error.hint).toBe('Restore the registry from a backup');
  });

  it.each(DOCUMENTS)('are the same with a field that needs the schema: %s', (_, kind, document) => {
    const text = JSON.stringify({ version: 1, ...document, colour: 'red' });
    expect(readDocument(kind, 'key', text)).toEqual(document);
  });

  it.each([
    ...['digest', 'hash', 'target', 'machine', 'set', 'fleet', 'fromTemplate'].flatMap((field) =>
      [17, null, ['x'], field === 'fleet' ? true : 'a b', {}].map((value) => [field, value] as const),
    ),
  ])('are refused by the field that is wrong: %s is %j', (field, value) => {
    const good = { digest: DIGEST, hash: HASH, target: 'loaded', machine: MACHINE, set: 'web', fleet: '1' };
    const text = JSON.stringify({ version: 1, ...good, fromTemplate: true, [field]: value });
    expect(errorOf('units/', text).message).toContain(`: ${field}: Invalid input`);
  });

  it('take no field from the prototype of objects', () => {
    const own = JSON.stringify({ version: 1, digest: DIGEST, hash: HASH, target: 'loaded' });
    const text = own.replace('{', '{"__proto__":{"machine":"x"},"constructor":"x",');
    expect(readDocument('units/', 'key', text)).toEqual({ digest: DIGEST, hash: HASH, target: 'loaded' });
  });
});
