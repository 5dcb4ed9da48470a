import { FleetError } from '../../base/errors.ts';
import type { MachineQuestion } from '../../operations/find-machine.ts';
import { quote } from '../../ssh/shell.ts';
import type { Call, Command } from '../command.ts';
import { writeLines } from '../streams.ts';

export const sshCommand: Command = {
  name: 'ssh',
  arguments: '[machine|unit] [command...]',
  summary: 'Log in to a machine, or run a command there',
  description:
    'The first argument is a machine (its name, its address or the beginning of its id), or a unit on the machine. All further arguments, options included, are the command. fleetctl exits with its exit status, or with 128 plus the number of the signal that ended it. A single word is a line for the remote shell; several words are passed unchanged as the arguments of the command.',
  options: [
    { flags: '--machine <machine>', description: 'machine to use; needed if a unit has the same name' },
    { flags: '--unit <unit>', description: 'use the machine of this unit' },
    { flags: '-A, --forward-agent', description: 'let remote commands use the keys of your SSH agent' },
    { flags: '-t, --tty', description: 'allocate a terminal for the command' },
  ],
  passThrough: true,
  examples: [
    ['fleetctl ssh web-1', 'log in'],
    ['fleetctl ssh db.service', 'log in to the machine of a unit'],
    ['fleetctl ssh 148a systemctl --failed', 'run a command, by the beginning of the machine id'],
    ["fleetctl ssh web-1 'dmesg | tail'", 'a command line for the remote shell'],
    ["fleetctl ssh web-1 -- sh -c 'exit 7'", 'exit with the status of the command'],
    ['fleetctl ssh -t web-1 htop', 'a command that needs a terminal'],
    ['fleetctl ssh web-1 cat /etc/hosts > hosts', 'copy a file to this computer'],
  ],
  async run(call) {
    const { question, words } = readTarget(call);
    const request = {
      command: commandLine(words),
      tty: call.options.tty === true,
      forwardAgent: wantsAgent(call),
    };
    const { withPorts } = await import('../context.ts');
    const { findLogin } = await import('../../operations/find-machine.ts');
    const { logIn } = await import('../remote-session.ts');
    const warn = ({ message }: FleetError): void =>
      writeLines(call.streams.err, [`Warning: ${message}; the machine is taken from fleet.conf`]);
    return withPorts(call, async (ports, access) =>
      logIn(access, await findLogin(ports, question, warn), request, call.streams),
    );
  },
};

/** The machine that the user named, and the words of the command. */
function readTarget({ arguments: given, options }: Call): Target {
  const { machine, unit } = options;
  if (typeof machine === 'string' && typeof unit === 'string') {
    throw new FleetError('usage', 'Cannot use --machine and --unit together', {
      hint: 'Use one of them',
    });
  }
  if (typeof machine === 'string') return { question: { kind: 'machine', text: machine }, words: given };
  if (typeof unit === 'string') return { question: { kind: 'unit', text: unit }, words: given };
  const [text, ...words] = given;
  if (text === undefined) {
    throw new FleetError('usage', 'Cannot log in: no machine or unit is given', {
      hint: 'Name one: fleetctl ssh web-1',
    });
  }
  return { question: { kind: 'either', text }, words: words[0] === '--' ? words.slice(1) : words };
}

type Target = { readonly question: MachineQuestion; readonly words: readonly string[] };

/** The line for the login shell: one word unchanged, as ssh does; several words are quoted. */
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
