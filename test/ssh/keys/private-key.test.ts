import { sign } from 'node:crypto';
import { expect, it } from 'vitest';
import { newKey, openOpenSshKey, readOpenSshKey } from '../../../src/ssh/keys/private-key.ts';
import { isSignedBy, parsePublicLine } from '../../../src/ssh/keys/public-key.ts';
import { wireStrings } from '../../../src/ssh/keys/wire.ts';

it('makes a key that reads back, in both halves', async () => {
  // Comments of all lengths, for the padding.
  for (let length = 1; length <= 9; length++) {
    const { privateText, publicLine } = newKey('c'.repeat(length));
    const file = readOpenSshKey(privateText);
    if (file === undefined) throw new Error(privateText);
    expect(file.publicKey).toEqual(parsePublicLine(publicLine));
    expect(file.body.length % 8).toBe(0);
    const key = await openOpenSshKey(file, '');
    if (key === undefined) throw new Error('it does not open');
    const data = Buffer.from('data');
    const signature = wireStrings('ssh-ed25519', sign(null, data, key));
    expect(isSignedBy(file.publicKey, data, signature)).toBe(true);
  }
});
