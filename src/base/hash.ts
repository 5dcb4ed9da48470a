import { createHash } from 'node:crypto';

/** SHA-1 in lower-case hex: fleet's unit hash. It identifies a unit file for people and is not used for security. */
export function sha1(text: string): string {
  return createHash('sha1').update(text).digest('hex');
}

/** SHA-256 in lower-case hex of bytes, or of the UTF-8 bytes of a text. */
export function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
