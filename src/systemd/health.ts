import type { Failure } from '../cluster/failure.ts';
import type { HealthRequest } from '../plan/step.ts';
import { quote } from '../ssh/shell.ts';
import type { Placement } from '../unit/placement.ts';
import { isTemplate, parseUnitName } from '../unit/unit-name.ts';
import type { Query } from './driver.ts';
import { findSection, type Section } from './frame.ts';
import healthShell from './health.sh';
import { complete, withoutComments } from './script.ts';

/** The limit of HealthExec= without HealthyWithin=, in ms. */
const HEALTHY_WITHIN_MS = 30_000;

/** How many lines of output are shown, and the reserve of the answer, in ms. */
const MOST_LINES = 10;
const RESERVE_MS = 30_000;

/** Whether a unit that runs is healthy: undefined if it is. The query is not public, because commands may contain secrets. */
export function healthQuery(request: HealthRequest): Query<Failure | undefined, 'health', HealthRequest> {
  const { unit, forMs, withinMs, command = '' } = request;
  const words = [quote(unit), Math.ceil(forMs / 10), Math.ceil(withinMs / 10), quote(command)];
  return {
    kind: 'health',
    request,
    script:
      withoutComments(healthShell) + complete('health', [`section healthy from healthy ${words.join(' ')}`]),
    deadlineMs: forMs + withinMs + RESERVE_MS,
    read: (sections) => readHealth(request, sections),
  };
}

/** {@link HealthRequest} of a unit; undefined if its options ask for none, and for a template, which never runs. */
export function healthOf({
  name,
  placement: { healthyForMs: forMs = 0, healthExec: command, healthyWithinMs: withinMs = HEALTHY_WITHIN_MS },
}: HealthOptions): HealthRequest | undefined {
  if ((forMs === 0 && command === undefined) || isTemplate(parseUnitName(name))) return undefined;
  return { unit: name, forMs, command, withinMs: command === undefined ? 0 : withinMs };
}

type HealthOptions = {
  readonly name: string;
  readonly placement: Pick<Placement, 'healthyForMs' | 'healthExec' | 'healthyWithinMs'>;
};

/** The failure of a unit that is not healthy. An answer without evidence is `unverified`. */
function readHealth({ withinMs }: HealthRequest, sections: readonly Section[]): Failure | undefined {
  const section = findSection(sections, 'healthy');
  if (section === undefined) return { code: 'unverified' };
  if (section.status === 0) return undefined;
  const lines = section.stdout
    .split('\n')
    .filter((line) => line !== '')
    .slice(-MOST_LINES);
  if (section.status === 20) return { code: 'unhealthy', what: 'command', withinMs, lines };
  return section.status === 21
    ? { code: 'unhealthy', what: 'restarted', withinMs, lines: [] }
    : { code: 'unverified' };
}
