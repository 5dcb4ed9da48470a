import { ApiError } from '../call.ts';

/** The limit of entries in an answer. */
const LIMIT = 100;

/** A part of a collection, and the token for the next one. */
type Page<T> = { readonly items: readonly T[]; readonly nextPageToken: string | undefined };

/**
 * The page of `items` that a token names. Tokens are those of the original fleet: base64 of two 16-bit numbers, the limit
 * and the page, counted from 1. Throws {@link ApiError} 400.
 */
export function pageOf<T>(items: readonly T[], token: string | null): Page<T> {
  const page = token === null || token === '' ? 1 : readToken(token);
  const end = page * LIMIT;
  return {
    items: items.slice(end - LIMIT, end),
    nextPageToken: items.length > end ? writeToken(page + 1) : undefined,
  };
}

/** A collection in the format of the original fleet, which omits an empty list. */
export function collection<T>(name: string, { items, nextPageToken }: Page<T>): object {
  return {
    ...(nextPageToken !== undefined && { nextPageToken }),
    ...(items.length > 0 && { [name]: items }),
  };
}

function writeToken(page: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16LE(LIMIT, 0);
  bytes.writeUInt16LE(page, 2);
  return bytes.toString('base64');
}

function readToken(token: string): number {
  const stray = token.search(/[^A-Za-z0-9+/=]/);
  if (stray >= 0 || token.length % 4 !== 0) {
    const at = stray >= 0 ? stray : token.length - (token.length % 4);
    throw new ApiError(400, `illegal base64 data at input byte ${at}`);
  }
  const bytes = Buffer.from(token, 'base64');
  const page = bytes.length === 4 && bytes.readUInt16LE(0) === LIMIT ? bytes.readUInt16LE(2) : 0;
  if (page === 0) throw new ApiError(400, 'invalid nextPageToken: not one of this server');
  return page;
}
