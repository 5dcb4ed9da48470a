import { FleetError } from '../../base/errors.ts';
import type { MachineQuestion } from '../../operations/find-machine.ts';
import { quote } from '../../ssh/shell.ts';
import type { SessionRequest } from '../../ssh/transport.ts';
import type { Call, Command } from '../command.ts';
import type { SshAccess } from '../context.ts';

/** How long the end of what runs on the machine may take after a signal, in ms. */
const HANG_UP_MS = 3000;

export const sshCommand: Command = {
  name: 'ssh',
  arguments: '[machine|unit] [command...]',
  summary: 'Log in to a machine, or run a command there',
  description:
    'Takes a machine (its name, its address or the beginning of its id) or a unit, for the machine it is on. Words after that are the command, its options among them; its exit status is the one of fleetctl, 128 and the number for a signal. One word alone is given to the shell over there as it is; several arrive as the words they are.',
  options: [
    { flags: '--machine <machine>', description: 'the machine, where a word could also be a unit' },
    { flags: '--unit <unit>', description: 'the machine this unit is on' },
    { flags: '-A, --forward-agent', description: 'let what runs there use the keys of your SSH agent' },
    { flags: '-t, --tty', description: 'give a command a terminal too' },
  ],
  passThrough: true,
  examples: [
    ['fleetctl ssh web-1', 'log in'],
    ['fleetctl ssh db.service', 'log in where db.service is'],
    ['fleetctl ssh 148a systemctl --failed', 'a command, on the machine whose id begins so'],
    ["fleetctl ssh web-1 'dmesg | tail'", 'one word: a line for the shell there'],
    ["fleetctl ssh web-1 -- sh -c 'exit 7'", 'exits with 7'],
    ['fleetctl ssh -t web-1 htop', 'a command that needs a terminal'],
    ['fleetctl ssh web-1 cat /etc/hosts > hosts', 'streams are passed on as they are'],
  ],
  async run(call) {
    const { question, request } = readCall(call);
    const [{ withEdges }, { findMachine }] = await Promise.all([
      import('../context.ts'),
      import('../../operations/find-machine.ts'),
    ]);
    return withEdges(call.flags, call.streams, async (edges, access) => {
      const machine = await findMachine(edges, question);
      return runOn(machine.name, access, request, call);
    });
  },
};

function readCall(call: Call): { question: MachineQuestion; request: SessionRequest } {
  const { question, words } = readTarget(call);
  const { env } = call.streams;
  const forwardAgent = call.options.forwardAgent === true;
  if (forwardAgent && !env.SSH_AUTH_SOCK) {
    throw new FleetError('usage', 'Cannot forward the SSH agent: SSH_AUTH_SOCK is not set', {
      hint: 'Start an agent and give it a key: eval "$(ssh-agent)" && ssh-add',
    });
  }
  const isPerson = process.stdin.isTTY === true && process.stdout.isTTY === true;
  const wantsTerminal = call.options.tty === true || (words.length === 0 && isPerson);
  const { columns = 80, rows = 24 } = process.stdout;
  const terminal = wantsTerminal ? { term: env.TERM ?? 'dumb', size: { columns, rows } } : undefined;
  return { question, request: { command: commandLine(words), terminal, forwardAgent } };
}

/** Which machine is asked for, and the words of the command. */
function readTarget({ arguments: given, options }: Call): {
  question: MachineQuestion;
  words: readonly string[];
} {
  const { machine, unit } = options;
  if (typeof machine === 'string' && typeof unit === 'string') {
    throw new FleetError('usage', 'Cannot use --machine and --unit together', {
      hint: 'Give the one that says where',
    });
  }
  if (typeof machine === 'string') return { question: { kind: 'machine', text: machine }, words: given };
  if (typeof unit === 'string') return { question: { kind: 'unit', text: unit }, words: given };
  const [text, ...words] = given;
  if (text === undefined) {
    throw new FleetError('usage', 'Cannot log in: no machine and no unit is given', {
      hint: 'Name one: fleetctl ssh web-1',
    });
  }
  return { question: { kind: 'either', text }, words: words[0] === '--' ? words.slice(1) : words };
}

/** What the login shell is given: one word as it is, as ssh does, several so that they arrive as they are. */
function commandLine(words: readonly string[]): string | undefined {
  const [only] = words;
  return words.length > 1 ? words.map(quote).join(' ') : only;
}

async function runOn(
  machine: string,
  { transport, targets }: SshAccess,
  request: SessionRequest,
  { streams }: Call,
): Promise<number> {
  const target = targets.get(machine);
  if (target === undefined) throw new FleetError('machine-not-found', `No such machine: "${machine}"`);
  const { runSession, sessionStatus } = await import('../remote-session.ts');
  const session = await transport.open(target, request);
  const end = await runSession(session, process, { terminal: request.terminal !== undefined });
  if (end.kind === 'exit') return sessionStatus(end);
  session.close();
  if (request.terminal === undefined) {
    const { hangUp } = await import('../../ssh/hang-up.ts');
    const isTold = await within(HANG_UP_MS, hangUp(transport, target));
    if (!isTold) streams.err(`Warning: what was started on machine "${machine}" may go on there\n`);
  }
  return sessionStatus(end);
}

/** Whether the work was done in that time, in ms. */
async function within(ms: number, work: Promise<void>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  try {
    return await Promise.race([
      work.then(
        () => true,
        () => false,
      ),
      late,
    ]);
  } finally {
    clearTimeout(timer);
  }
}
