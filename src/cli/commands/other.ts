import { FleetError } from '../../base/errors.ts';
import { nearest } from '../../base/text.ts';
import { type Command, printAnswer } from '../command.ts';
import bash from '../completion/bash.sh';
import fish from '../completion/fish.sh';
import zsh from '../completion/zsh.sh';
import { EXIT } from '../exit-status.ts';
import { OUTPUT } from '../options.ts';
import { VERSION, VERSION_LINE } from '../version.ts';

/** The completion script of each shell. */
export const SCRIPTS: ReadonlyMap<string, string> = new Map(Object.entries({ bash, zsh, fish }));

export const completionCommand: Command = {
  name: 'completion',
  arguments: '<bash|zsh|fish>',
  summary: 'Print a completion script for a shell',
  isReadOnly: true,
  description:
    'Completes commands, options, units of the registry, unit files, machines and fields. No machine is contacted. For bash, the script of one user belongs in ~/.local/share/bash-completion/completions/fleetctl. To try it in bash: `source <(fleetctl completion bash)`.',
  options: [],
  examples: [
    ['fleetctl completion bash > /etc/bash_completion.d/fleetctl', 'for bash, as root'],
    ['fleetctl completion zsh > ~/.zsh/completions/_fleetctl', 'for zsh; the folder must be in fpath'],
    ['fleetctl completion fish > ~/.config/fish/completions/fleetctl.fish', 'for fish'],
  ],
  async run({ arguments: [shell = ''], streams }) {
    const script = SCRIPTS.get(shell);
    if (script === undefined) {
      const shells = [...SCRIPTS.keys()];
      const near = nearest(shell, shells);
      throw new FleetError('usage', `Cannot complete in shell "${shell}": there is no script for it`, {
        hint: `${near === undefined ? '' : `Did you mean "${near}"? `}Shells: ${shells.join(', ')}`,
      });
    }
    streams.out(script);
    return EXIT.done;
  },
};

/** `program.ts` runs it, because it shows the other commands. */
export const helpCommand: Command = {
  name: 'help',
  arguments: '[command|topic] [command]',
  summary: 'Show help for a command or a topic',
  isReadOnly: true,
  description:
    'Shows the options and examples of a command, or a topic of the manual. Without a name, it lists all commands and topics.',
  options: [],
  examples: [
    ['fleetctl help', 'list all commands and topics'],
    ['fleetctl help machines add', 'show help for a command'],
    ['fleetctl help units', 'show a topic of the manual'],
  ],
};

export const versionCommand: Command = {
  name: 'version',
  arguments: '',
  summary: 'Print the version',
  isReadOnly: true,
  description: 'Same as fleetctl --version.',
  options: [OUTPUT],
  examples: [['fleetctl version', 'print it']],
  async run({ options, streams }) {
    await printAnswer({ options, streams }, { out: [VERSION_LINE], err: [] }, () => ({ version: VERSION }));
    return EXIT.done;
  },
};
