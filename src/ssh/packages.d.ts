declare module 'ssh2/lib/client.js' {
  import { Client } from 'ssh2';
  export default Client;
}

declare module 'bcrypt-pbkdf' {
  const bcrypt: {
    /** The bcrypt hash of two SHA-512 sums, 64 bytes each, into 32 bytes. */
    hash(password: Uint8Array, salt: Uint8Array, into: Uint8Array): void;
  };
  export default bcrypt;
}
