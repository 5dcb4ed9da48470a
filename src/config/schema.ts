import * as z from 'zod/mini';
import { formatDuration, parseDuration } from '../base/duration.ts';
import { parseMetadata } from '../machine/metadata.ts';
import { parseAddress, parsePort, parseUser } from './address.ts';
import { EXPECTED_LISTEN, parseListen, parseNames } from './listen.ts';
import { expandPath, expectedPath, type PathBase } from './path.ts';
import { EXPECTED_REGISTRY, parseRegistryPlace } from './registry-place.ts';

/** What each kind of section may hold: keys as in the file, every value a text that is read here. */
export type Schemas = ReturnType<typeof sectionSchemas>;
export type TopSettings = z.output<Schemas['top']>;
export type SshSettings = z.output<Schemas['ssh']>;
export type MachineSettings = z.output<Schemas['machine']>;

/** The schemas for settings whose relative paths start at `base`. The message of an issue is what was expected. */
export function sectionSchemas(base: PathBase) {
  const path = value(expectedPath, (text) => expandPath(text, base));
  const perMachine = {
    user: z.exactOptional(value('a user name', parseUser)),
    identity_file: z.exactOptional(path),
    become: z.exactOptional(value('sudo, doas or none', parseBecome)),
    sudo: z.exactOptional(value('true or false', parseBoolean)),
    become_password_command: z.exactOptional(value('a command', (text) => text || undefined)),
    strict_host_key_checking: z.exactOptional(value(expectedHostKeyChecking, parseHostKeyChecking)),
    transport: z.exactOptional(value('ssh2 or openssh', parseTransport)),
    connect_timeout: z.exactOptional(duration(100, 600_000, '5s')),
    keepalive_timeout: z.exactOptional(duration(1000, 3_600_000, '15s')),
    port: z.exactOptional(value('a port from 1 to 65535', parsePort)),
  };
  return {
    top: z.strictObject({
      registry: z.exactOptional(value(EXPECTED_REGISTRY, (text) => parseRegistryPlace(text, base))),
      agent_ttl: z.exactOptional(duration(1000, 86_400_000, '30s')),
      settle: z.exactOptional(duration(0, 60_000, '500ms')),
      cut_off: z.exactOptional(value('a percentage from 1% to 100%, such as 50%', parsePercentage)),
      listen: z.exactOptional(value(EXPECTED_LISTEN, (text) => parseListen(text, base))),
      listen_read_only: z.exactOptional(value(EXPECTED_LISTEN, (text) => parseListen(text, base))),
      listen_names: z.exactOptional(value('names of hosts, with commas', parseNames)),
      listen_cert_file: z.exactOptional(path),
      listen_key_file: z.exactOptional(path),
      listen_client_ca_file: z.exactOptional(path),
      listen_insecure: z.exactOptional(value('true or false', parseBoolean)),
      etcd_ca_file: z.exactOptional(path),
      etcd_cert_file: z.exactOptional(path),
      etcd_key_file: z.exactOptional(path),
      etcd_user: z.exactOptional(value('a user of etcd', parseEtcdUser)),
      etcd_password_file: z.exactOptional(path),
    }),
    ssh: z.strictObject({
      ...perMachine,
      known_hosts_file: z.exactOptional(path),
      identity_passphrase_file: z.exactOptional(path),
      ssh_config: z.exactOptional(
        value(expectedPath, (text) => (text === 'none' ? text : expandPath(text, base))),
      ),
    }),
    machine: z.strictObject({
      address: value('host, host:port or [IPv6]:port', parseAddress),
      metadata: z.exactOptional(value(expectedMetadata, readMetadata)),
      ...perMachine,
    }),
  };
}

/** A text that `read` understands; it answers undefined for one that is not what was `expected`. */
function value<T>(expected: string | ((text: string) => string), read: (text: string) => T | undefined) {
  const transform = z.transform((text: string, context): T => {
    const result = read(text);
    if (result !== undefined) return result;
    const message = typeof expected === 'string' ? expected : expected(text);
    context.issues.push({ code: 'custom', message, input: text });
    return z.NEVER;
  });
  return z.pipe(z.string(typeof expected === 'string' ? expected : undefined), transform);
}

/** A duration in ms, within bounds that timers can hold and that make sense for what it is used for. */
function duration(min: number, max: number, example: string) {
  const bounds = `from ${formatDuration(min)} to ${formatDuration(max)}`;
  return value(`a duration ${bounds}, such as ${example}`, (text) => {
    const ms = parseDuration(text);
    return ms !== undefined && ms >= min && ms <= max ? ms : undefined;
  });
}

function parseTransport(text: string): 'ssh2' | 'openssh' | undefined {
  return text === 'ssh2' || text === 'openssh' ? text : undefined;
}

/** `50%` → 0.5 */
function parsePercentage(text: string): number | undefined {
  const percent = Number(/^(\d{1,3})%$/.exec(text)?.[1]);
  return percent >= 1 && percent <= 100 ? percent / 100 : undefined;
}

function parseBecome(text: string): 'sudo' | 'doas' | 'none' | undefined {
  return text === 'sudo' || text === 'doas' || text === 'none' ? text : undefined;
}

export function parseBoolean(text: string): boolean | undefined {
  return text === 'true' || text === 'false' ? text === 'true' : undefined;
}

/** `yes` asks as `ask` does: without a terminal both refuse a host that is not known. */
function parseHostKeyChecking(text: string): 'ask' | 'accept-new' | undefined {
  if (text === 'ask' || text === 'yes') return 'ask';
  return text === 'accept-new' ? text : undefined;
}

function expectedHostKeyChecking(text: string): string {
  const off = ['no', 'off', 'false'].includes(text.toLowerCase());
  return `ask, yes or accept-new${off ? ' (host keys are always verified)' : ''}`;
}

/** A name of etcd, which takes almost any text. */
function parseEtcdUser(text: string): string | undefined {
  return /^[^\p{Cc}]+$/u.test(text) ? text : undefined;
}

function readMetadata(text: string) {
  const result = parseMetadata(text);
  return result.kind === 'metadata' ? result.metadata : undefined;
}

function expectedMetadata(text: string): string {
  const result = parseMetadata(text);
  const detail = result.kind === 'malformed' ? ` (${result.expected}, not "${result.pair}")` : '';
  return `pairs such as region=eu,disk=ssd${detail}`;
}
