import { hash } from 'node:crypto';

/** SHA-1 in lower-case hex: fleet's unit hash. It identifies a unit file for people and is not used for security. */
export function sha1(text: string): string {
  return hash('sha1', text);
}

/** SHA-256 in lower-case hex of bytes, or of the UTF-8 bytes of a text. */
export function sha256(content: string | Uint8Array): string {
  return hash('sha256', content);
}
