import { connect } from 'node:net';
import { WireReader, wireStrings, wireUint32 } from './wire.ts';

/** A key, or a certificate, in an agent. */
export type AgentKey = { readonly publicKey: Buffer; readonly comment: string };

/** Numbers of the agent protocol (draft-ietf-sshm-ssh-agent). */
const REQUEST_IDENTITIES = 11;
const IDENTITIES_ANSWER = 12;
const SIGN_REQUEST = 13;
const SIGN_RESPONSE = 14;
const SHA2_FLAGS: Readonly<Record<string, number>> = { 'rsa-sha2-256': 2, 'rsa-sha2-512': 4 };

/** An agent that does not list its keys within this time, in ms, is ignored. */
const LIST_TIMEOUT = 3000;
/** The timeout of a signature, in ms: the user may have to confirm it, or to touch a key. */
const SIGN_TIMEOUT = 60_000;
/** The longest answer of an agent, in bytes. */
const MOST_BYTES = 256 * 1024;

/** The keys of the agent at that socket. Rejects when no agent answers. */
export async function listAgentKeys(socket: string): Promise<AgentKey[]> {
  const answer = await ask(socket, Buffer.of(REQUEST_IDENTITIES), LIST_TIMEOUT);
  const reader = new WireReader(answer);
  if (reader.byte() !== IDENTITIES_ANSWER) throw new Error('it does not list its keys');
  const keys: AgentKey[] = [];
  for (let left = reader.uint32(); left > 0; left--)
    keys.push({ publicKey: reader.string(), comment: reader.text() });
  return keys;
}

/** The agent's signature in SSH's form, complete: those of security keys end with a flag and a counter. */
export async function signWithAgent(
  socket: string,
  key: Buffer,
  data: Buffer,
  algorithm: string,
): Promise<Buffer> {
  const flags = wireUint32(SHA2_FLAGS[algorithm] ?? 0);
  const request = Buffer.concat([Buffer.of(SIGN_REQUEST), wireStrings(key, data), flags]);
  const reader = new WireReader(await ask(socket, request, SIGN_TIMEOUT));
  if (reader.byte() !== SIGN_RESPONSE) throw new Error('the agent refused to sign');
  return reader.string();
}

function ask(path: string, request: Buffer, timeoutMs: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    let answer = Buffer.alloc(0);
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      socket.destroy();
      settle();
    };
    const fail = (what: string): void => finish(() => reject(new Error(what)));
    const timer = setTimeout(() => fail('the agent does not answer'), timeoutMs);
    socket.on('error', (error) => fail(`no agent: ${error.message}`));
    socket.on('close', () => fail('the agent hung up'));
    socket.on('data', (chunk) => {
      answer = Buffer.concat([answer, chunk]);
      if (answer.length < 4) return;
      const length = answer.readUInt32BE(0);
      if (length > MOST_BYTES) fail('the agent says nonsense');
      else if (answer.length >= 4 + length) finish(() => resolve(answer.subarray(4, 4 + length)));
    });
    socket.write(wireStrings(request));
  });
}
