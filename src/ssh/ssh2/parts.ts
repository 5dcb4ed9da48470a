import type { Client } from 'ssh2';

/**
 * The parts of ssh2 that fleet uses although they are not documented. Therefore package.json pins ssh2 to one version.
 * Before another one is used, the tests against OpenSSH's server have to pass: user-certificates.test.ts,
 * host-certificates.test.ts and round-trips.test.ts fail when a part has changed.
 */
export type Protocol = {
  /** The key exchange: the first one, then later ones of the connection. */
  _kex: KeyExchange | undefined;
  /** Set during a key exchange; packets wait in `_queue` then. */
  _kexinit: unknown;
  _queue: Buffer[] | undefined;
  /** The algorithms offered in key exchanges. */
  _offer: KexInit;
  readonly _cipher: { readonly encrypt: (packet: Buffer) => void };
  readonly _packetRW: { readonly write: PacketWriter };
  /** The methods of the requests that wait for an answer. */
  readonly _authsQueue: string[];
  // biome-ignore lint/suspicious/noExplicitAny: every message has its own parameters
  readonly _handlers: Record<string, ((protocol: Protocol, ...parameters: any[]) => void) | undefined>;
  /** The first line of the other side. */
  readonly _remoteIdentRaw: Buffer | undefined;
  service: (name: string) => void;
  /** Requests a session for one of {@link Channels}. */
  session: (channel: number, window: number, packet: number) => void;
  authInfoRes: (answers: string[]) => void;
};

/** The offer of one side: a list of names for each kind of algorithm. */
export type KexInit = {
  readonly lists: {
    readonly kex: List;
    readonly serverHostKey: List;
    readonly cs: Side;
    readonly sc: Side;
  };
};
type List = { readonly array: readonly string[] };
type Side = Readonly<Record<'cipher' | 'mac' | 'compress' | 'lang', List>>;

export type KeyExchange = {
  readonly sessionID: Buffer | undefined;
  /** The key that the host presents: read first for the hash of the exchange, then to verify its signature. */
  _hostKey: Buffer | undefined;
  readonly negotiated: { serverHostKey: string };
};

/** The channels of a connection, and callbacks of those that are requested, by number. */
export type Channels = {
  readonly add: (callback: unknown) => number;
  readonly get: (channel: number) => unknown;
  readonly remove: (channel: number) => void;
};

type PacketWriter = {
  readonly alloc: (payloadLength: number) => Buffer;
  /** The offset of the payload in the buffer that `alloc` returned. */
  readonly allocStart: number;
  finalize: (packet: Buffer) => Buffer;
};

/** The parts that must exist, with their types. */
const SHAPE = {
  service: 'function',
  session: 'function',
  authInfoRes: 'function',
  _handlers: 'object',
  _authsQueue: 'object',
  _packetRW: 'object',
  _cipher: 'object',
  _offer: 'object',
} as const satisfies Partial<Record<keyof Protocol, 'function' | 'object'>>;

/** The protocol of a client, once `connect` was called. Throws if this version of ssh2 lacks one of the parts. */
export function privateParts(client: Client): Protocol {
  const { _protocol } = client as unknown as { readonly _protocol: Protocol };
  const found: Readonly<Partial<Record<string, unknown>>> = _protocol;
  const missing = Object.entries(SHAPE).filter(([name, type]) => typeof found[name] !== type);
  if (missing.length > 0)
    throw new TypeError(`ssh2 has no ${missing.join(', ')}: fleet needs another version`);
  return _protocol;
}

/** The channels of a client, once `connect` was called. */
export function channelsOf(client: Client): Channels {
  const { _chanMgr: channels } = client as unknown as { readonly _chanMgr: Channels };
  return channels;
}
