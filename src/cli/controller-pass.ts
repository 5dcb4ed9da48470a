import type { Endpoint } from '../api/client.ts';
import { announcePass } from '../api/pass-client.ts';
import type { Ready } from '../api/pass-lines.ts';
import { FleetError } from '../base/errors.ts';
import { type Config, originOf } from '../config/config.ts';
import { guarded } from '../reconcile/guard.ts';
import type { PassOptions, ReconcileReport } from '../reconcile/pass.ts';
import type { Ports } from '../reconcile/ports.ts';
import { type Registry, withWholeViews } from '../registry/registry.ts';
import type { RegistryView } from '../registry/view.ts';
import type { WaitPolicy } from '../systemd/driver.ts';
import { differenceOf } from './endpoint.ts';

/** The time limit for the answer of a controller, in ms; then this process runs the pass. */
function firstMsOf(machines: number): number {
  return 1_000 + 5 * machines;
}
/** The limit between two lines of a controller that works, in ms. */
const LATER_MS = 5_000;

type LinkOptions = {
  readonly endpoint: Endpoint;
  readonly config: Config;
  readonly wait: WaitPolicy;
  /** The user of this process, as `user@host`. */
  readonly author: string;
};

/** A controller that runs the first pass of a command. */
export type ControllerLink = {
  readonly ports: Ports;
  /** Rejects with FleetError `endpoint` if the controller cannot run a pass of this configuration. */
  confirm(): Promise<void>;
  close(): void;
};

/**
 * Ports whose first pass runs in the controller at `endpoint`, if that one leads and has the same registry and machines. Its
 * observations guard the changes of the registry. This process runs the pass if the controller could not begin it, could
 * not reach a machine that it needs, or was lost; unless units may have been restarted, or run, which must not be repeated:
 * then FleetError `endpoint`.
 */
export function linkToController(
  ports: Ports,
  { endpoint, config, wait, author }: LinkOptions,
): ControllerLink {
  const began = performance.now();
  const announced = announcePass(endpoint, {
    firstMs: firstMsOf(config.machines.length),
    laterMs: LATER_MS,
  });
  const checked = announced.ready.then(async (answer) => {
    if (typeof answer === 'string') return answer;
    return differenceOf(config, answer, await hasRegistryOf(answer, config, ports.registry)) ?? answer;
  });
  // An error is that of the registry, and is thrown where the answer is used.
  checked.catch(() => undefined);
  const ready = async (): Promise<Ready | undefined> => {
    const answer = await checked;
    return typeof answer === 'string' ? undefined : answer;
  };
  const own = guarded(ports, async () => (await ready())?.machines);
  const { registry, last } = remembering(own.registry);
  let isUsed = false;
  const run: Ports['controller'] = async (units, options) => {
    const state = last();
    if (isUsed || state === undefined || (await ready()) === undefined) return undefined;
    isUsed = true;
    let isSent = false;
    const { blocks, timeoutMs } = wait;
    const ms = timeoutMs && Math.max(0, began + timeoutMs - performance.now());
    const waits = { blocks, ms, settleMs: config.settle };
    const { actions, maxParallel, limits } = options;
    const request = { units, actions, maxParallel, limits, waits, author, ...state };
    const end = await announced.run(request, (event) => {
      isSent ||=
        event.kind === 'changes-sent' && event.changes.some(({ obstacle }) => obstacle === undefined);
      ports.emit(event);
    });
    const mayRepeat = !isSent || isRepeatable(options);
    if (end?.kind === 'report') return mayRepeat && isCutShort(end.report) ? undefined : end.report;
    if (end?.kind === 'error' && isSent) throw end.error;
    if (mayRepeat) return undefined;
    throw new FleetError('endpoint', `Lost ${endpoint.name} during the pass`, {
      hint: 'Machines complete the work that they have received. Check the state: fleetctl list-units',
    });
  };
  return {
    ports: { ...own, registry, controller: run },
    async confirm() {
      const answer = await checked;
      if (typeof answer !== 'string') return;
      throw new FleetError('endpoint', `Cannot use ${endpoint.name} for this command: ${answer}`, {
        hint: 'To execute the command here, use no --tunnel, and --endpoint none',
      });
    },
    close: announced.close,
  };
}

/**
 * Whether a controller has this registry. The place of a registry has several spellings, such as that of a folder here and on
 * another host. The id of the cluster is the same in a copy too, so the controller compares the tokens before a pass.
 */
async function hasRegistryOf(
  { origin, clusterId }: Ready,
  config: Config,
  registry: Registry,
): Promise<boolean> {
  if (origin === originOf(config)) return true;
  return clusterId !== undefined && clusterId === (await registry.read((view) => view.clusterId));
}

/** The state of a registry that a controller must have too. */
type State = Pick<RegistryView, 'clusterId' | 'revision' | 'token'>;

/** The same registry, and its state in its last view. */
function remembering(registry: Registry): { registry: Registry; last: () => State | undefined } {
  let last: State | undefined;
  const remember =
    <T>(use: (view: RegistryView) => T) =>
    (view: RegistryView): T => {
      const { clusterId, revision, token } = view;
      last = { clusterId, revision, token };
      return use(view);
    };
  return {
    last: () => last,
    registry: withWholeViews({
      read: (use) => registry.read(remember(use)),
      change: (decide, use, author) => registry.change(decide, remember(use), author),
      waitForChange: (view, signal) => registry.waitForChange(view, signal),
      close: () => registry.close(),
    }),
  };
}

/** Whether a pass with these options does nothing twice. */
function isRepeatable({ actions = new Map() }: PassOptions): boolean {
  return [...actions.values()].every((kind) => kind !== 'restart' && kind !== 'run');
}

/** Whether a machine that the pass needed was unreachable: for this process it may be reachable. */
function isCutShort({ decisions, outcomes }: ReconcileReport): boolean {
  return (
    outcomes.some(({ failure }) => failure?.code === 'unreachable') ||
    decisions.some(
      (decision) =>
        decision.kind === 'unschedulable' &&
        decision.rejected.some(({ reason }) => reason.code === 'machine-silent'),
    )
  );
}
