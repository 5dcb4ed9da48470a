import { LAYOUT } from '../install/files.ts';
import type { Obstacle, Reached, Step } from '../install/plan.ts';
import type { RemovedController } from '../operations/install-controller.ts';
import type { ReportLines } from './report.ts';

/** A step in the imperative: `copy the program to /opt/fleet`. */
export function stepText(step: Step): string {
  switch (step.kind) {
    case 'node':
      return step.isDone ? 'use the installed Node' : `copy the Node of this computer to ${LAYOUT.node}`;
    case 'files':
      return filesText(step.what);
    case 'user':
      return `create the user ${LAYOUT.user}`;
    case 'key':
      return `create a key for the controller: ${LAYOUT.key}`;
    case 'authorize':
      return `authorize the key on machine ${step.machine}`;
    case 'check':
      return `connect to every machine with that key, as the user ${LAYOUT.user}`;
    case 'move-registry':
      return `move the registry from ${step.from} to ${LAYOUT.registry}`;
    case 'own-config':
      return `write into your fleet.conf: ${[...step.settings].map(([key, value]) => `${key} = ${value}`).join('; ')}`;
    case 'start':
      return 'start fleetd now and at every boot, and check its health';
  }
}

function filesText(what: 'program' | 'configuration' | 'units'): string {
  if (what === 'program') return `copy the program to ${LAYOUT.program}`;
  if (what === 'units') return `write the units fleetd.service and fleetd.socket to ${LAYOUT.units}`;
  return `write the configuration and the host keys of the machines: ${LAYOUT.config}, ${LAYOUT.knownHosts}`;
}

/** A line of the list of steps. */
export function stepLine(step: Step, dryRun: boolean): string {
  return `${(step.isDone ? 'already' : dryRun ? 'would' : 'now').padEnd(8)} ${stepText(step)}`;
}

/** The obstacles that prevent an installation. */
export function obstacleLines(host: string, obstacles: readonly Obstacle[]): readonly string[] {
  return obstacles.flatMap(({ what, remedy }) => [
    `Error: Cannot install a controller on "${host}": ${what}`,
    `hint: ${remedy}`,
  ]);
}

/** For a cluster that has a registry on its machines, and too few of them. */
export function oneVoterLines(): readonly string[] {
  return [
    'Warning: one machine alone stores the registry, because several voters need at least three machines. Without that machine, units keep running, but none moves',
    'hint: Add machines until there are three: fleetctl machines add',
  ];
}

/** The machines that a controller will not reach, because their keys could not be written. */
export function unreachableLines(machines: ReadonlyMap<string, Reached>): readonly string[] {
  const unreachable = [...machines].flatMap(([name, found]) =>
    found.kind === 'unreachable' ? [{ name, ...found }] : [],
  );
  if (unreachable.length === 0) return [];
  const names = unreachable.map(({ name }) => name).join(' ');
  return [
    ...unreachable.map(({ why }) => `Warning: ${why}`),
    `hint: Units move away from a machine that the controller cannot reach for agent_ttl. When these machines answer, run the command again to authorize its key there: ${names}`,
  ];
}

/** The removal of a controller, and what is left to do. */
export function removedReport(host: string, removed: RemovedController): ReportLines {
  const { wasThere, hasRegistry, keepsProgram, left } = removed;
  const { registry, program } = LAYOUT;
  const place = keepsProgram ? `, and the program that your fleet.conf needs to reach it in ${program}` : '';
  return {
    out: [
      wasThere ? `The controller was removed from ${host}` : `There was no controller on ${host}`,
      ...(hasRegistry ? [`The registry stays in ${registry} there${place}`] : []),
    ],
    err: [
      ...left.map(
        ({ machine, why }) => `Error: Machine "${machine}" may still accept the controller's key: ${why}`,
      ),
      ...(left.length > 0 ? ['hint: Run the command again when it answers'] : []),
      ...(hasRegistry && keepsProgram
        ? [
            `hint: To move the registry here: fleetctl registry copy ssh://${host}${registry} file:PATH, and write "registry = file:PATH" into fleet.conf`,
          ]
        : []),
    ],
  };
}
