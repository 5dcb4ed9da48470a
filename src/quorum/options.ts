import type { Snapshot } from '../store/snapshot.ts';
import type { Change } from '../store/store.ts';
import type { ConditionOf, QuorumMachine } from './choose.ts';
import type { AcceptedRounds } from './progress.ts';
import type { AskVoter, TextCache } from './voters.ts';

export type QuorumOptions = {
  /** The name of the register: registers are independent of each other. */
  readonly register: string;
  /** The machines of the cluster, of which the first ones become voters unless others are marked. */
  readonly machines: readonly QuorumMachine[];
  readonly ask: AskVoter;
  readonly cache: TextCache;
  /** Whether this process is about to change the registry, so that the first look at the voters also prepares the change. */
  readonly reserves?: boolean;
  /** The machines that the registry of a cluster names; undefined for another register, which is not checked. */
  readonly machinesIn?: (snapshot: Snapshot) => readonly string[];
  /** Whether a registry that begins with these changes is that of a cluster. */
  readonly belongsTo: (changes: readonly Change[], cluster: string) => boolean;
  /**
   * Is called when no machine has a registry, with those that belong to a cluster. Rejects if other machines may have it: nothing is read
   * or created then.
   */
  readonly confirmAbsence?: (owned: readonly string[]) => Promise<void>;
  /** The machines that were voters, for the message if they do not answer. It gets those that belong to a cluster. */
  readonly voters?: (owned: readonly string[]) => Promise<readonly string[]>;
  /** What the registry says about machines that may become voters, from the contents of this register. */
  readonly conditionsIn?: (snapshot: Snapshot) => ConditionOf | Promise<ConditionOf>;
  /** What voters have shown to this user before; what they show now is added. */
  readonly accepted?: AcceptedRounds;
  /** Runs every call that needs an answer of the machines. */
  readonly during?: <T>(call: () => Promise<T>) => Promise<T>;
  /** Releases what `ask` uses. */
  readonly close?: () => Promise<void>;
};
