/**
 * The place of the one leader. Its holder has it for `ttlMs`, and again from each time it is renewed; then
 * others may take it. Errors are those of the store it is in.
 */
export interface Seat {
  readonly ttlMs: number;
  /** Takes it where it is free: true. */
  take(): Promise<boolean>;
  /** Rejects where it could never be taken, for want of rights or because of what is in its place; changes nothing. */
  probe(): Promise<void>;
  /** Has it for another `ttlMs` from this call on, or later; false when it is not ours any more. */
  renew(): Promise<boolean>;
  /** Frees it if it is ours. */
  leave(): Promise<void>;
  /** Resolves when it may be free, which may be too early, or when `signal` aborts. Never rejects. */
  waitUntilFree(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
