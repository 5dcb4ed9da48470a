import { FleetError } from '../../base/errors.ts';
import { type Call, type Command, printInfo, printReport } from '../command.ts';
import { EXIT } from '../exit-status.ts';
import { DRY_RUN } from '../options.ts';
import { writeLines } from '../streams.ts';

const installCommand: Command = {
  name: 'install',
  arguments: '[machine]',
  summary: 'Install or update a controller (fleetd)',
  description:
    'Installs on this computer (as root), on a machine of fleet.conf, or on USER@HOST. The host needs systemd; without Node 20.19 or later, it gets a copy of the Node of this computer. The controller gets a user, a key that every machine accepts, the host keys that you have verified (the command asks about unknown ones and shows their fingerprints) and, if the registry is a folder, the registry; fleet.conf is changed to its new location. fleetd is started when it reaches every machine that you reach. Run the command again after changes of fleet.conf or an update of fleet: completed steps are kept.',
  options: [DRY_RUN],
  examples: [
    ['fleetctl controller install', 'on this computer, as root'],
    ['fleetctl controller install web-1 --dry-run', 'show the steps for a machine'],
    ['fleetctl controller install core@control', 'on a host outside the cluster'],
  ],
  run: install,
};

const removeCommand: Command = {
  name: 'remove',
  arguments: '[machine]',
  summary: 'Stop and remove the controller; the registry stays',
  description:
    'Removes its units, program, configuration and key; the key is removed from the machines too. Units of the cluster keep running, and fleetctl keeps using the registry at its location.',
  options: [],
  examples: [
    ['fleetctl controller remove', 'from this computer, as root'],
    ['fleetctl controller remove web-1', 'from a machine'],
  ],
  run: remove,
};

export const controllerCommand: Command = {
  name: 'controller',
  arguments: '',
  summary: 'Install or remove a controller (fleetd) as a service',
  topic: 'controller',
  description:
    'A controller runs on this computer, on a machine of fleet.conf, or on USER@HOST. Its files are /opt/fleet, /etc/fleet/controller*, /var/lib/fleet-controller, fleetd.service and fleetd.socket.',
  options: [],
  examples: [...installCommand.examples, ...removeCommand.examples],
  subcommands: [installCommand, removeCommand],
};

async function install(call: Call): Promise<number> {
  const { arguments: words, options, flags, streams } = call;
  const [machine] = words;
  const { siteConfig, withSite } = await import('../install/site.ts');
  const { filesFor, hasOneVoter, wantedOf } = await import('../install/wanted.ts');
  const operation = await import('../../operations/install-controller.ts');
  const { lookAtHost } = await import('../../install/facts.ts');
  const { LAYOUT } = await import('../../install/files.ts');
  const plan = await import('../../install/plan.ts');
  const output = await import('../../output/installation.ts');
  const dryRun = options.dryRun === true;
  return withSite(call, async (site, config) => {
    const look = async (seen: typeof config) => {
      // The paths of the files do not depend on the facts.
      const { program, units, configuration } = await filesFor(seen, machine, { nodes: [] });
      const paths = [...program, ...units, ...configuration].map(({ path }) => path);
      const facts = await lookAtHost(site.host, [...paths, LAYOUT.knownHosts]);
      const survey = await operation.surveyMachines(site, plan.keyOf(facts));
      return { survey, facts, wanted: await wantedOf(seen, machine, facts, survey) };
    };
    const { survey, wanted, facts } = await look(config);
    const obstacles = [...plan.obstacles(facts, wanted), ...survey.obstacles];
    if (obstacles.length > 0) {
      writeLines(streams.err, output.obstacleLines(site.host.name, obstacles));
      return EXIT.failed;
    }
    writeLines(streams.err, output.unreachableLines(survey.machines));
    if (hasOneVoter(config)) writeLines(streams.err, output.oneVoterLines());
    for (const step of plan.planInstallation(facts, wanted)) {
      printInfo(streams, [output.stepLine(step, dryRun)]);
      if (!dryRun && !step.isDone) await operation.carryOut(step, site);
    }
    if (dryRun) return EXIT.done;
    const after = await look(await siteConfig(flags, streams));
    const left = plan.planInstallation(after.facts, after.wanted).filter(({ isDone }) => !isDone);
    if (left.length > 0)
      throw new FleetError(
        'install',
        `The controller on "${site.host.name}" differs from its configuration: ${left.map(output.stepText).join('; ')}`,
        { hint: 'Run the command again' },
      );
    printInfo(streams, [`The controller on ${site.host.name} manages the cluster`]);
    return EXIT.done;
  });
}

async function remove(call: Call): Promise<number> {
  const { streams } = call;
  const { withSite } = await import('../install/site.ts');
  const { removeController } = await import('../../operations/install-controller.ts');
  const { removedReport } = await import('../../output/installation.ts');
  return withSite(call, async (site, { registry }) => {
    const removed = await removeController(site, registry.kind === 'ssh');
    printReport(streams, removedReport(site.host.name, removed));
    return removed.left.length === 0 ? EXIT.done : EXIT.failed;
  });
}
