import { fstatSync, writeSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { causeText, FleetError } from '../base/errors.ts';

/** The data that was asked for could not be written. */
export function cannotWrite(error: Error): FleetError {
  return new FleetError('output', `Cannot write the output: ${causeText(error)}`);
}

/**
 * Where the stream leads to a file, Node writes once and takes no notice when only a part went in, as on a disk that is
 * full: from now on, all of it is written or the stream fails.
 */
export function writeWhole(stream: Writable & { readonly fd: number }): void {
  if (!fstatSync(stream.fd).isFile()) return;
  stream._write = (chunk: Buffer, _encoding, done) => {
    try {
      for (let rest = chunk; rest.length > 0; ) rest = rest.subarray(writeSync(stream.fd, rest));
      done();
    } catch (error) {
      done(error as Error);
    }
  };
}
