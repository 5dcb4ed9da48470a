import { describe, expect, it } from 'vitest';
import { sha1, sha256 } from '../../src/base/hash.ts';

describe('the hashes of FIPS 180-4', () => {
  it.each([
    ['', 'da39a3ee5e6b4b0d3255bfef95601890afd80709'],
    ['abc', 'a9993e364706816aba3e25717850c26c9cd0d89d'],
    ['☃', '2686137311c038a99622242fdb662b88c221c08d'],
  ])('sha1 of %j', (text, digest) => {
    expect(sha1(text)).toBe(digest);
  });

  it.each([
    ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
    ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
    ['☃', '51643361c79ecaef25a8de802de24f570ba25d9c2df1d22d94fade11b4f466cc'],
  ])('sha256 of %j', (text, digest) => {
    expect(sha256(text)).toBe(digest);
  });
});
