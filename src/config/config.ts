import { sha256 } from '../base/hash.ts';
import type { ProposedMachine } from '../machine/machine.ts';
import type { Setting } from './parse.ts';
import type { ConfigFlags } from './settings.ts';
import type { SshSettings, TopSettings } from './values.ts';

/** The system-wide configuration file. */
export const SYSTEM_FILE = '/etc/fleet/fleet.conf';

/** The shortest useful configuration, for hints. */
export const MINIMAL_FILE = '[machine.web-1]\naddress = 10.10.1.1';

/** A machine and how this computer reaches it. */
export type MachineConfig = {
  /** As fleet.conf describes it; the registry decides. */
  readonly machine: ProposedMachine;
  /** The host as an argument of ssh(1). */
  readonly host: string;
  /** Whether `host` and the port are of this computer alone (`connect_to`). */
  readonly isLocal: boolean;
  /** The connection settings of fleet.conf, environment and flags; the others come from ssh_config and the defaults. */
  readonly settings: SshSettings;
  /** Whether it shall be a voter of a registry on the machines; undefined if fleet decides. */
  readonly voter: boolean | undefined;
  /** The setting that holds the address, for messages; undefined for a host that is not listed. */
  readonly written: Setting | undefined;
};

/** The part of a configuration for connections. */
export type SshConfig = {
  /** The default settings of all machines: `[ssh]`, with {@link override}. */
  readonly ssh: SshSettings;
  /** The settings of environment and flags, which override every section. */
  readonly override: SshSettings;
  /** Whether the user is asked for the password of sudo. */
  readonly askBecomePass: boolean;
  /** Of a controller, in ms: the keepalive timeout, and the longest connect timeout. */
  readonly timeoutMs?: number;
};

/** All settings of fleet.conf, the environment and the global flags; frozen. */
export type Config = SshConfig &
  TopSettings & {
    /** Absolute. */
    readonly file: string;
    readonly verbose: boolean;
    /** In file order, never empty; names are unique. */
    readonly machines: readonly MachineConfig[];
  };

/** The input of a process. `flags` override `env`, which overrides the file. */
export type ConfigRequest = {
  readonly flags: ConfigFlags;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute; relative paths in flags and environment are relative to it. */
  readonly cwd: string;
  /** The home folder, absolute; `~` expands to it. */
  readonly home: string;
};

/** A hash of the place of the registry, for clients that look for the controller of theirs. */
export function originOf({ registry }: Pick<Config, 'registry'>): string {
  return sha256(JSON.stringify([registry]));
}
