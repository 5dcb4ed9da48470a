import type { ErrorCode, FleetError } from '../../base/errors.ts';
import { quoted } from '../../base/visible.ts';
import { cannotReach, closedWhile, hintFor, NotTried, type OpenPhase, TurnedAway } from '../failure.ts';
import type { SshTarget } from '../target.ts';
import type { Login } from '../transport.ts';

/** The steps of a login that ssh writes to its log at level DEBUG1, the last one first. */
const STEPS = [
  ['authentication', 'debug1: SSH2_MSG_SERVICE_ACCEPT received'],
  ['host-key', 'debug1: Server host key: '],
  ['handshake', 'debug1: Remote protocol version '],
  ['banner', 'debug1: Connection established.'],
  ['banner', 'debug1: Executing proxy command: '],
  ['connect', 'debug1: Connecting to '],
] as const;

type Step = (typeof STEPS)[number][0] | 'name';

/** Finds the reason of a failed login in the log of a ssh that has ended with status 255. */
export function loginFailure(target: SshTarget, log: string): FleetError {
  const lines = log.split(/\r?\n/);
  const step = stepOf(lines);
  const error = failureAt(step, target, lines);
  const hasHungUp = ENDED.test(wordsOf(lines).at(-1) ?? '');
  const isTurnedAway = step === 'banner' || (hasHungUp && (step === 'handshake' || step === 'host-key'));
  return isTurnedAway ? new TurnedAway(error) : error;
}

/** Finds the details of a login in the log. */
export function readLogin(log: string): Login {
  const [, address] = /^debug1: Connecting to .* \[(.*)\] port \d+/m.exec(log) ?? [];
  const [, key] = /^debug1: Server accepts key: (.*) \S+ SHA256:/m.exec(log) ?? [];
  return { address, credential: key };
}

/** The last step of the login in this log. */
export function phaseOf(log: string): OpenPhase {
  const step = stepOf(log.split(/\r?\n/));
  return step === 'authentication' || step === 'name' || step === 'connect' ? step : 'handshake';
}

/** Whether the machine has granted the session, according to its log. */
export function isGranted(log: string): boolean {
  return /^debug1: mux_client_request_session: master session id: \d/m.test(log);
}

/** Whether the machine has refused the session, according to its log. */
export function isRefused(log: string): boolean {
  return log.includes('session request failed: Session open refused by peer');
}

/** The last message of ssh that is not a step, quoted. */
export function lastWords(log: string): string | undefined {
  const words = wordsOf(log.split(/\r?\n/)).at(-1);
  return words === undefined ? undefined : quoted(words);
}

function stepOf(lines: readonly string[]): Step {
  return STEPS.find(([, mark]) => lines.some((line) => line.startsWith(mark)))?.[0] ?? 'name';
}

/** The last lines of ssh if the other side closed the connection. */
const ENDED =
  /^(Connection (closed|reset)|kex_exchange_identification|ssh_dispatch_run_fatal: .*(closed|reset))/i;

/** The error messages of connect(2) that are about a machine, with their codes; others are errors of this computer. */
const CONNECT_CODES: readonly (readonly [RegExp, ErrorCode])[] = [
  [/timed out$/, 'ssh-timeout'],
  [/(refused|no route to host|host is down)$/i, 'ssh-refused'],
  [/reset by peer$/, 'ssh-lost'],
];

/** The line that a server sends instead of its version when it refuses a client. */
function isBannerLine(line: string): boolean {
  return /^debug1: kex_exchange_identification: banner line \d+: ./.test(line);
}

function failureAt(step: Step, target: SshTarget, lines: readonly string[]): FleetError {
  const words = wordsOf(lines).at(-1) ?? '';
  const said = words === '' ? 'ssh gave no reason' : quoted(words);
  switch (step) {
    case 'name':
      return /^ssh: Could not resolve hostname/.test(words)
        ? cannotReach(target, 'ssh-name', 'there is no such host name', { hint: hintFor(target, 'ssh-name') })
        : new NotTried(cannotReach(target, 'ssh-local', said));
    case 'connect':
      return cannotReach(target, CONNECT_CODES.find(([end]) => end.test(words))?.[1] ?? 'ssh-local', said);
    case 'banner':
      return closedWhile(target, 'handshake', { trouble: said, spoke: lines.some(isBannerLine) });
    case 'handshake':
      return ENDED.test(words)
        ? closedWhile(target, 'handshake', { trouble: said, spoke: true })
        : cannotReach(target, 'ssh-turned-away', `no SSH connection: ${said}`);
    case 'host-key':
      return ENDED.test(words)
        ? closedWhile(target, 'handshake', { trouble: said, spoke: true })
        : hostKeyFailure(target, lines);
    case 'authentication':
      return ENDED.test(words)
        ? closedWhile(target, 'authentication', { trouble: said, spoke: true })
        : cannotReach(target, 'ssh-authentication', `it did not let "${target.user}" in: ${said}`, {
            hint: `Log in once with "ssh ${target.user}@${target.host} -p ${target.port}" to see which authentication it requires`,
          });
  }
}

function hostKeyFailure(target: SshTarget, lines: readonly string[]): FleetError {
  const key = / host key: (.*)$/.exec(
    lines.find((line) => line.startsWith('debug1: Server host key: ')) ?? '',
  )?.[1];
  const offending = lines.map((line) => /^Offending .* key in (.*)$/.exec(line)?.[1]).find(Boolean);
  const hasChanged = lines.some((line) => line.includes('REMOTE HOST IDENTIFICATION HAS CHANGED'));
  if (!hasChanged)
    return cannotReach(target, 'ssh-host-key', `its host key is not known: ${key}`, {
      hint: 'If that is the right fingerprint, accept it on a terminal, or set "strict_host_key_checking = accept-new" in [ssh] (--strict-host-key-checking=accept-new)',
    });
  const where = offending === undefined ? '' : `, but ${offending} has another one`;
  return cannotReach(target, 'ssh-host-key', `its host key has changed: it shows ${key}${where}`, {
    hint: 'The connection may be intercepted. If the machine was set up again, remove its line with ssh-keygen -R',
  });
}

function wordsOf(lines: readonly string[]): string[] {
  const isStep = /^(debug\d: |OpenSSH_|@@@|Authenticated to |\s*$)/;
  return lines.filter((line) => !isStep.test(line)).map((line) => line.trim());
}
