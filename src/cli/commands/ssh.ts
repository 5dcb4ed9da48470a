import { FleetError } from '../../base/errors.ts';
import type { MachineQuestion } from '../../operations/find-machine.ts';
import { quote } from '../../ssh/shell.ts';
import type { Call, Command } from '../command.ts';

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
    const { question, words } = readTarget(call);
    const wish = {
      command: commandLine(words),
      tty: call.options.tty === true,
      forwardAgent: wantsAgent(call),
    };
    const [{ withEdges }, { findMachine }, { logIn }] = await Promise.all([
      import('../context.ts'),
      import('../../operations/find-machine.ts'),
      import('../log-in.ts'),
    ]);
    return withEdges(call.flags, call.streams, async (edges, access) =>
      logIn(access, await findMachine(edges, question), wish, call.streams),
    );
  },
};

/** Which machine is asked for, and the words of the command. */
function readTarget({ arguments: given, options }: Call): Target {
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

type Target = { readonly question: MachineQuestion; readonly words: readonly string[] };

/** What the login shell is given: one word as it is, as ssh does, several so that they arrive as they are. */
function commandLine(words: readonly string[]): string | undefined {
  const [only] = words;
  return words.length > 1 ? words.map(quote).join(' ') : only;
}

function wantsAgent({ options, streams }: Call): boolean {
  if (options.forwardAgent !== true) return false;
  if (streams.env.SSH_AUTH_SOCK) return true;
  throw new FleetError('usage', 'Cannot forward the SSH agent: SSH_AUTH_SOCK is not set', {
    hint: 'Start an agent and give it a key: eval "$(ssh-agent)" && ssh-add',
  });
}
