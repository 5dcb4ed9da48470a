import { FleetError } from '../../base/errors.ts';
import type { RequestResult } from '../../operations/unit-result.ts';
import type { Ports } from '../../reconcile/ports.ts';
import type { Call, Command, CommandOption } from '../command.ts';
import { requestStatus } from '../exit-status.ts';
import {
  DRY_RUN,
  LIMITS,
  maxParallelOf,
  NO_BLOCK,
  NOW,
  OUTPUT,
  REPLACE,
  RETRY,
  ROLLOUT,
  textOption,
  VERBOSE,
} from '../options.ts';
import { writeLines } from '../streams.ts';
import { runChange, runUnitVerb, submitRequest } from '../unit-command.ts';

export const submitCommand: Command = {
  name: 'submit',
  arguments: '<unit...>',
  summary: 'Store unit files in the registry',
  topic: 'units',
  takesTemplates: true,
  description:
    'Checks unit files and stores them. Units that are already in the registry stay unchanged, and local files that differ are reported. Machines are changed only where --replace gives a unit on them another text.',
  options: [REPLACE, NOW, ...ROLLOUT, VERBOSE, DRY_RUN, OUTPUT],
  examples: [
    ['fleetctl submit hello.service', 'store ./hello.service'],
    ['fleetctl submit units/web@.service', 'store a template'],
    ['fleetctl submit --replace web@.service', 'replace a template and its instances'],
  ],
  async run(call) {
    const { submitUnits } = await import('../../operations/set-target-state.ts');
    return runUnitVerb('submit', call, (ports) => submitUnits(ports, submitRequest(call)));
  },
};

export const loadCommand: Command = {
  name: 'load',
  arguments: '<unit...>',
  summary: 'Install units on machines without starting them',
  description:
    'Submits units that are not in the registry, selects a machine for each and installs its unit file there. Launched units stay launched. Unit files are searched for in the registry, on disk, then as templates.',
  options: [REPLACE, NOW, VERBOSE, NO_BLOCK, ...LIMITS, DRY_RUN, OUTPUT],
  examples: [
    ['fleetctl load hello.service', 'install it on a machine'],
    ['fleetctl load web@1 web@2', 'two instances of web@.service'],
  ],
  async run(call) {
    const { load } = await import('../../operations/set-target-state.ts');
    return runUnitVerb('load', call, (ports) => load(ports, submitRequest(call)));
  },
};

const VERIFY: CommandOption = {
  flags: '--verify',
  description: 'check the units with systemd first, and change nothing if a machine reports an error',
};

export const startCommand: Command = {
  name: 'start',
  arguments: '<unit...>',
  summary: 'Start units in the cluster and keep them running',
  topic: 'units',
  description:
    'Submits units that are not in the registry, selects a machine for each, starts it there and waits until it is active. Unit files are searched for in the registry, on disk, then as templates.',
  options: [REPLACE, NOW, ...ROLLOUT, RETRY, VERIFY, VERBOSE, NO_BLOCK, ...LIMITS, DRY_RUN, OUTPUT],
  examples: [
    ['fleetctl start hello.service', 'start ./hello.service on one machine'],
    ['fleetctl start web@{1..3}', 'three instances of web@.service'],
    ['fleetctl start app.service app.timer', 'start two units'],
    ['fleetctl start --no-block app.service', 'do not wait until it is active'],
    ['fleetctl start --timeout 5m app.service', 'wait at most five minutes'],
    ['fleetctl start --replace --max-parallel 25% agent.service', 'a quarter of the copies at a time'],
    ['fleetctl start --retry agent.service', 'after the cause of a failed update is repaired'],
    ['fleetctl start --verify app.service', 'only if systemd reports no error'],
  ],
  async run(call) {
    const { start } = await import('../../operations/set-target-state.ts');
    return runUnitVerb('start', call, (ports) =>
      call.options.verify === true ? verifiedStart(ports, call) : start(ports, submitRequest(call)),
    );
  },
};

/** Starts units if they pass verification on every feasible machine; otherwise nothing is stored. */
async function verifiedStart(ports: Ports, call: Call): Promise<RequestResult> {
  const { start } = await import('../../operations/set-target-state.ts');
  const { requestResult } = await import('../../operations/unit-result.ts');
  const { verify } = await import('../../operations/verify.ts');
  const { verificationReport } = await import('../../output/verification.ts');
  const { keepSessions } = await import('../../systemd/driver.ts');
  const request = submitRequest(call);
  const driver = keepSessions(ports.driver);
  try {
    const verification = await verify({ ...ports, driver }, { ...request, machine: undefined });
    if (verification.passed) return await start({ ...ports, driver }, request);
    const { out, err } = verificationReport(verification);
    writeLines(call.streams.err, [...out, ...err]);
    const error = new FleetError('unit-file', 'Nothing was stored or started, because a check failed', {
      hint: 'Correct them, or start without --verify',
    });
    return requestResult(undefined, [{ unit: request.units.join(' '), error }]);
  } finally {
    await driver.close();
  }
}

export const restartCommand: Command = {
  name: 'restart',
  arguments: '<unit...>',
  summary: 'Restart units on their machines, one after the other',
  description:
    'Restarts every copy of launched units on its machine. A copy is restarted only when the previous one is active; the first failure ends the command, which lists the copies that were not restarted. A copy of a held unit is restarted with the text that it has. Globs match units of the registry.',
  options: [
    { flags: '--max-parallel <n>', description: 'how many copies may be down at the same time (default 1)' },
    ...LIMITS,
    DRY_RUN,
    OUTPUT,
  ],
  examples: [
    ['fleetctl restart hello.service', 'restart it on its machine'],
    ["fleetctl restart 'web@*'", 'all instances, one at a time'],
    ['fleetctl restart --max-parallel 5 agent.service', 'a global unit, five machines at a time'],
    ["fleetctl restart --dry-run 'web@*'", 'show the batches'],
  ],
  async run(call) {
    const maxParallel = maxParallelOf(call.options);
    const { restart } = await import('../../operations/restart.ts');
    const { restartPreview, restartReport } = await import('../../output/request-report.ts');
    const { restartJson } = await import('../../output/request-json.ts');
    return runChange(
      call,
      (ports) => restart(ports, call.arguments, maxParallel),
      (result, dryRun) => ({
        report: dryRun ? restartPreview(result) : restartReport(result),
        json: () => restartJson(result, dryRun),
        status: requestStatus(result),
      }),
      true,
    );
  },
};

export const stopCommand: Command = {
  name: 'stop',
  arguments: '<unit...>',
  summary: 'Stop units but keep them on their machines',
  description:
    'Stops units on all machines and waits until they have stopped. They stay loaded: `fleetctl start` starts them again on the same machine.',
  options: [NO_BLOCK, ...LIMITS, DRY_RUN, OUTPUT],
  examples: [
    ['fleetctl stop hello.service', 'stop it and keep it loaded'],
    ['fleetctl stop web@1 web@2', 'stop two instances'],
    ['fleetctl stop --no-block hello.service', 'do not wait until it has stopped'],
  ],
  async run(call) {
    const { stop } = await import('../../operations/set-target-state.ts');
    return runUnitVerb('stop', call, (ports) => stop(ports, call.arguments));
  },
};

export const unloadCommand: Command = {
  name: 'unload',
  arguments: '<unit...>',
  summary: 'Stop units and remove them from their machines',
  description:
    'Stops units, waits until they have stopped and removes their unit files from the machines. The units stay in the registry.',
  options: [...LIMITS, DRY_RUN, OUTPUT],
  examples: [['fleetctl unload hello.service', 'remove it from its machine']],
  async run(call) {
    const { unload } = await import('../../operations/set-target-state.ts');
    return runUnitVerb('unload', call, (ports) => unload(ports, call.arguments));
  },
};

export const destroyCommand: Command = {
  name: 'destroy',
  arguments: '<unit...>',
  summary: 'Stop units and remove them from the registry',
  takesTemplates: true,
  description:
    'Stops units, waits until they have stopped, removes them from the machines and then from the registry.',
  options: [...LIMITS, DRY_RUN, OUTPUT],
  examples: [
    ['fleetctl destroy hello.service', 'stop and remove it'],
    ['fleetctl destroy web@.service', 'remove a template; its instances stay'],
  ],
  async run(call) {
    const { destroy } = await import('../../operations/set-target-state.ts');
    return runUnitVerb('destroy', call, (ports) => destroy(ports, call.arguments));
  },
};

export const adoptCommand: Command = {
  name: 'adopt',
  arguments: '<unit>',
  summary: 'Take over a unit that already runs on a machine',
  topic: 'migration',
  description:
    'Stores the file of a unit that was installed on a machine without fleet, and assigns the unit to that machine. The unit keeps running, and is not restarted. It becomes launched if it runs, and loaded otherwise. Its file, or that of its template, must be in /etc/systemd/system.',
  options: [
    {
      flags: '--machine <machine>',
      description: 'the machine: its name, its address or the beginning of its id',
    },
    DRY_RUN,
    OUTPUT,
  ],
  examples: [
    ['fleetctl adopt web.service --machine web-1', 'manage it with fleet from now on'],
    ['fleetctl adopt web.service --machine web-1 --dry-run', 'show the planned steps'],
  ],
  async run(call) {
    const machine = textOption(call.options.machine);
    if (machine === undefined)
      throw new FleetError('usage', 'Name the machine that has the unit', { hint: 'Add --machine NAME' });
    const { adopt } = await import('../../operations/adopt.ts');
    const [unit = ''] = call.arguments;
    return runUnitVerb('adopt', call, (ports) => adopt(ports, { unit, machine }));
  },
};
