import type { ErrorCode, FleetError } from '../base/errors.ts';
import type { MachineView } from '../cluster/snapshot.ts';
import { hasAnswered } from '../cluster/unreachable.ts';

/** A problem of a controller, in one line. */
export type Trouble = {
  readonly message: string;
  /** Whether another controller may not have the problem. */
  readonly isOwn: boolean;
  /** Whether only one machine is affected. */
  readonly isWarning?: boolean;
};

/** Errors that this process causes, by its host, version or permissions. */
const OWN: ReadonlySet<ErrorCode> = new Set([
  'registry-unavailable',
  'registry-no-majority',
  'registry-newer',
  'registry-locked',
  'local',
  'config',
]);

export function troubleOf(what: string, { code, message }: FleetError): Trouble {
  return { message: `${what}: ${message.replaceAll('\n', ' ')}`, isOwn: OWN.has(code) };
}

/**
 * If all machines are unreachable, another controller may still reach them. A machine whose answers are invalid is a problem
 * for every controller.
 */
export function machineTroubles(views: readonly MachineView[]): readonly Trouble[] {
  const unreachable = views.flatMap(({ unreachable }) => unreachable ?? []);
  const unusable = unreachable
    .filter(hasAnswered)
    .map(({ message }) => ({ message: message.replaceAll('\n', ' '), isOwn: false, isWarning: true }));
  const [first] = unreachable;
  if (first === undefined || unreachable.length < views.length) return unusable;
  const message = first.message.replaceAll('\n', ' ');
  return [{ message: `no machine is reachable, of ${views.length}: ${message}`, isOwn: true }, ...unusable];
}
