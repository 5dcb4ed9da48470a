import { sha256 } from '../base/hash.ts';
import type { Machine } from '../machine/machine.ts';
import type { Setting } from './parse.ts';
import type { ConfigFlags } from './settings.ts';
import type { SshSettings, TopSettings } from './values.ts';

/** The configuration of the whole system. */
export const SYSTEM_FILE = '/etc/fleet/fleet.conf';

/** The shortest useful configuration, for hints. */
export const MINIMAL_FILE = '[machine.web-1]\naddress = 10.10.1.1';

/** A machine of the inventory. */
export type MachineConfig = {
  readonly machine: Machine;
  /** As a person would write it after `ssh`. */
  readonly host: string;
  /** The settings of the connection in fleet.conf, environment and flags; ssh_config and the defaults give the rest. */
  readonly settings: SshSettings;
  /** The setting that holds the address, for messages; undefined for a host that is not listed. */
  readonly written: Setting | undefined;
};

/** The part of a configuration that connections need. */
export type SshConfig = {
  /** The settings of a machine that has none itself: `[ssh]`, with {@link override}. */
  readonly ssh: SshSettings;
  /** What environment and flags say, which beats every section. */
  readonly override: SshSettings;
  /** Whether the user is asked for the password of sudo. */
  readonly askBecomePass: boolean;
  /** No connection waits longer than this for its machine, in ms. */
  readonly maxTimeoutMs?: number;
};

/** Everything that fleet.conf, the environment and the global flags decide; frozen. */
export type Config = SshConfig &
  TopSettings & {
    /** Absolute. */
    readonly file: string;
    readonly verbose: boolean;
    /** In file order, never empty; names are unique. */
    readonly machines: readonly MachineConfig[];
  };

/** What the process was given. `flags` beat `env`, which beats the file. */
export type ConfigRequest = {
  readonly flags: ConfigFlags;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute; relative paths in flags and environment start here. */
  readonly cwd: string;
  /** The home folder, absolute: what `~` stands for. */
  readonly home: string;
};

/** Identifies a cluster: the same registry and the same machines have the same. */
export function originOf({
  registry,
  machines,
}: Pick<Config, 'registry'> & {
  readonly machines: readonly Pick<MachineConfig, 'machine'>[];
}): string {
  return sha256(JSON.stringify([registry, machines.map(({ machine }) => machine)]));
}
