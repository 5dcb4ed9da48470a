import type { ErrorCode, FleetError } from '../base/errors.ts';
import type { MachineView } from '../cluster/snapshot.ts';
import { hasAnswered } from '../cluster/unreachable.ts';

/**
 * What keeps a controller from its work, in one line. `isOwn`: another controller may well be without it. `isWarning`: it
 * is about one machine, and the others are looked after.
 */
export type Trouble = {
  readonly message: string;
  readonly isOwn: boolean;
  readonly isWarning?: boolean;
};

/** Errors that have their cause in this process, its place, its version or its rights. */
const OWN: ReadonlySet<ErrorCode> = new Set([
  'registry-unavailable',
  'registry-newer',
  'registry-locked',
  'local',
  'config',
]);

export function troubleOf(what: string, { code, message }: FleetError): Trouble {
  return { message: `${what}: ${message.replaceAll('\n', ' ')}`, isOwn: OWN.has(code) };
}

/**
 * A controller that no machine answers is of no use, be it cut off or refused. A machine whose answers cannot be used is a
 * trouble of every controller.
 */
export function machineTroubles(views: readonly MachineView[]): readonly Trouble[] {
  const unreachable = views.flatMap(({ unreachable }) => unreachable ?? []);
  const unusable = unreachable
    .filter(hasAnswered)
    .map(({ message }) => ({ message: message.replaceAll('\n', ' '), isOwn: false, isWarning: true }));
  const [first] = unreachable;
  if (first === undefined || unreachable.length < views.length) return unusable;
  const message = first.message.replaceAll('\n', ' ');
  return [{ message: `no machine answers, of ${views.length}: ${message}`, isOwn: true }, ...unusable];
}
