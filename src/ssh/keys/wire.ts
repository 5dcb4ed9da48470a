/** Reads the data types of RFC 4251, section 5, one after another; throws a RangeError where the data ends too early. */
export class WireReader {
  readonly #data: Buffer;
  #at = 0;

  constructor(data: Buffer) {
    this.#data = data;
  }

  /** How many bytes have been read. */
  get position(): number {
    return this.#at;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#data.length;
  }

  bytes(length: number): Buffer {
    if (this.#at + length > this.#data.length) throw new RangeError('the data ends too early');
    this.#at += length;
    return this.#data.subarray(this.#at - length, this.#at);
  }

  byte(): number {
    return this.bytes(1).readUInt8();
  }

  uint32(): number {
    return this.bytes(4).readUInt32BE();
  }

  uint64(): bigint {
    return this.bytes(8).readBigUInt64BE();
  }

  string(): Buffer {
    return this.bytes(this.uint32());
  }

  text(): string {
    return this.string().toString('utf8');
  }

  /** Strings up to the end. */
  strings(): Buffer[] {
    const all: Buffer[] = [];
    while (!this.isAtEnd) all.push(this.string());
    return all;
  }
}

/** Every part as a string of RFC 4251: its length, then its bytes. */
export function wireStrings(...parts: readonly (string | Uint8Array)[]): Buffer {
  return Buffer.concat(
    parts.flatMap((part) => {
      const bytes = Buffer.from(part as Uint8Array);
      return [wireUint32(bytes.length), bytes];
    }),
  );
}

export function wireUint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** The bytes of an unsigned number as an mpint has them: without leading zeros, but never negative. */
export function unsigned(number: Uint8Array): Buffer {
  const first = number.findIndex((byte) => byte !== 0);
  const bytes = Buffer.from(first < 0 ? [] : number.subarray(first));
  return (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes;
}
