import type { Machine } from '../machine/machine.ts';
import type { ApiSettings } from './listen.ts';
import type { Setting } from './parse.ts';
import type { EtcdSettings, RegistryPlace } from './registry-place.ts';
import type { SshSettings } from './schema.ts';

/** A machine of the inventory. */
export type MachineConfig = {
  readonly machine: Machine;
  /** As a person would write it after `ssh`. */
  readonly host: string;
  /** What fleet.conf, environment and flags say of the connection; ssh_config and the defaults say the rest. */
  readonly settings: SshSettings;
  /** The setting that holds the address, for messages; undefined for a host that is not listed. */
  readonly written: Setting | undefined;
};

/** The settings of machines without their own sections: `[ssh]`, and environment and flags, which beat every section. */
export type SshLayers = { readonly ssh: SshSettings; readonly override: SshSettings };

/** The part of a configuration that connections need. */
export type SshConfig = {
  /** The ssh_config that is read instead of the usual ones, or `none`. */
  readonly sshConfigFile: string | undefined;
  /** Whether the person is to be asked for the password of sudo. */
  readonly askBecomePass: boolean;
  /** Holds the passphrase of encrypted private keys. */
  readonly identityPassphraseFile: string | undefined;
  /** No connection waits longer than this for its machine, in ms. */
  readonly maxTimeoutMs?: number;
  readonly layers: SshLayers;
};

/** Everything that fleet.conf, the environment and the global flags decide; frozen. Paths are absolute. */
export type Config = SshConfig & {
  readonly file: string;
  readonly registry: RegistryPlace;
  /** What goes with every registry in etcd that is named. */
  readonly etcd: EtcdSettings;
  readonly api: ApiSettings;
  /** How long a machine may be silent before its units move, in ms. */
  readonly agentTtlMs: number;
  /** How long a started unit is watched before it counts as up, in ms. */
  readonly settleMs: number;
  /** The share of the machines, from 0 to 1, above which silence is our own and moves nothing. */
  readonly cutOff: number;
  /** Whether to tell what a person usually need not know. */
  readonly verbose: boolean;
  /** In file order, never empty; names are unique. */
  readonly machines: readonly MachineConfig[];
};

/** Global flags as the command line gives them; undefined or left out when a flag was not given. */
export type ConfigFlags = {
  readonly config?: string | undefined;
  /** Where a controller is asked instead of machines; `none` asks none. */
  readonly endpoint?: string | undefined;
  /** The box of that controller, over SSH. */
  readonly tunnel?: string | undefined;
  readonly sshUsername?: string | undefined;
  readonly sshIdentityFile?: string | undefined;
  readonly identityPassphraseFile?: string | undefined;
  readonly sshTimeout?: string | undefined;
  readonly sshConfig?: string | undefined;
  readonly knownHostsFile?: string | undefined;
  readonly strictHostKeyChecking?: string | undefined;
  readonly askBecomePass?: boolean | undefined;
  readonly verbose?: boolean | undefined;
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
