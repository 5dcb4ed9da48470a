import type { FleetError } from '../base/errors.ts';
import type { Unreachable, UnreadableUnit } from '../cluster/snapshot.ts';
import type { SystemdState } from '../cluster/unit-state.ts';
import type { Decision } from '../schedule/decision.ts';
import type { PassEvent } from './events.ts';

/** What a controller has to say beside the events of its passes; worded in output/. */
export type Notice =
  /** It decides from now on; or another controller does, and it only watches. */
  | { readonly kind: 'leads' }
  | { readonly kind: 'stands-by' }
  /** It cannot stand for election: the registry's store does not answer, or the leader lock cannot be taken. */
  | { readonly kind: 'election-failed'; readonly error: FleetError }
  /** It gives up the lock, so that another one that can work may lead. */
  | { readonly kind: 'leadership-given-up'; readonly trouble: string }
  /** Another fleetd of this box answers there; this one will when that one has ended. */
  | { readonly kind: 'socket-taken'; readonly path: string }
  /** The registry cannot be read, so that nothing can be decided; or it can again. */
  | { readonly kind: 'registry-lost'; readonly error: FleetError }
  | { readonly kind: 'registry-back' }
  | { readonly kind: 'machine-lost'; readonly machine: string; readonly unreachable: Unreachable }
  | { readonly kind: 'machine-back'; readonly machine: string; readonly silentMs: number }
  /** A machine answers, and cannot take a lease: its fenced units end with the one it has. */
  | { readonly kind: 'lease-refused'; readonly machine: string; readonly error: FleetError }
  /** A unit that fleet put on a machine is not as it was seen before; undefined when it is gone from there. */
  | {
      readonly kind: 'unit-state';
      readonly unit: string;
      readonly machine: string;
      readonly state: Pick<SystemdState, 'load' | 'active' | 'sub'> | undefined;
    }
  /** So many machines are unreachable at once that no unit leaves them; or no longer. */
  | { readonly kind: 'cut-off'; readonly unreachable: number; readonly machines: number }
  | { readonly kind: 'connected' }
  /** It did not run for a while, and measures silence from now on. */
  | { readonly kind: 'overslept'; readonly ms: number }
  /** A unit fits nowhere, or stays where it should not be. */
  | { readonly kind: 'stuck'; readonly decision: Extract<Decision, { kind: 'unschedulable' | 'keep' }> }
  /** A unit whose document in the registry cannot be read is left as it is. */
  | ({ readonly kind: 'unreadable' } & UnreadableUnit)
  /** `again`: for the same reason as the last time; `units` is empty where nothing could be decided at all. */
  | {
      readonly kind: 'pass-failed';
      readonly units: readonly string[];
      readonly error: FleetError;
      readonly again: boolean;
    };

/** Everything that happens in a controller. */
export type ControllerEvent = PassEvent | Notice;
