import { FleetError } from '../base/errors.ts';
import type { Ask } from '../ssh/person.ts';
import type { AskHostKey } from '../ssh/trust.ts';
import type { Streams } from './streams.ts';

/** OpenSSH's question about a host that was never seen before; undefined without a terminal. */
export function askHostKey({ ask, err }: Streams): AskHostKey | undefined {
  if (ask === undefined) return undefined;
  return async ({ machine, host, key }) => {
    err(`The authenticity of machine "${machine}" (${host}) cannot be established.\nIts key is ${key}\n`);
    for (let turn = 0; turn < 5; turn++) {
      const answer = (await ask('Are you sure you want to continue connecting (yes/no)? '))
        .trim()
        .toLowerCase();
      if (answer === 'yes') return true;
      if (answer === 'no') return false;
      err('Type "yes" or "no".\n');
    }
    throw new FleetError(
      'ssh-host-key',
      `Cannot tell whether the key of machine "${machine}" is right: no answer`,
    );
  };
}

/** What logging in takes: passphrases, passwords and codes; undefined without a terminal. */
export function askPerson({ ask, askSecret }: Streams): Ask | undefined {
  return ask && askSecret && (({ text, isSecret }) => (isSecret ? askSecret(text) : ask(text)));
}
