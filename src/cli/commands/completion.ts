import { FleetError } from '../../base/errors.ts';
import { nearest } from '../../base/text.ts';
import type { Command } from '../command.ts';
import { EXIT } from '../exit-status.ts';

export const completionCommand: Command = {
  name: 'completion',
  arguments: '<bash|zsh|fish>',
  summary: 'Print a completion script for a shell',
  description:
    'Completes commands, options, units of the registry, unit files, machines and fields. No machine is contacted. Scripts of one user for bash belong in ~/.local/share/bash-completion/completions/fleetctl. To try it in bash: `source <(fleetctl completion bash)`.',
  options: [],
  examples: [
    ['fleetctl completion bash > /etc/bash_completion.d/fleetctl', 'for bash, as root'],
    ['fleetctl completion zsh > ~/.zsh/completions/_fleetctl', 'for zsh; the folder must be in fpath'],
    ['fleetctl completion fish > ~/.config/fish/completions/fleetctl.fish', 'for fish'],
  ],
  async run({ arguments: [shell = ''], streams }) {
    const { SCRIPTS } = await import('../completion/scripts.ts');
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
