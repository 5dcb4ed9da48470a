import { expect, it } from 'vitest';
import { makeDesk, REFUSING } from './desk.ts';

const REFUSED =
  'Error: Cannot reach machine "m1" (127.0.0.1:1): connection refused\nhint: Check that sshd listens on port 1 there\n';

it.each<readonly [string, readonly string[], number, string]>([
  ['a machine that cannot be reached', ['m1', 'true'], 5, REFUSED],
  ['options of the command, which are not ours', ['m1', 'true', '--config', 'x', '--bogus'], 5, REFUSED],
  ['the command behind two dashes', ['--machine', 'm1', '--', 'true', '-t'], 5, REFUSED],
  ['global options before the machine', ['--ssh-timeout', '1s', 'm1', 'true'], 5, REFUSED],
  [
    'no machine and no unit',
    [],
    2,
    'Error: Cannot log in: no machine or unit is given\nhint: Name one: fleetctl ssh web-1\n',
  ],
  [
    'both kinds at once',
    ['--machine', 'm1', '--unit', 'a'],
    2,
    'Error: Cannot use --machine and --unit together\nhint: Use one of them\n',
  ],
  [
    'an agent that is not there',
    ['-A', 'm1'],
    2,
    'Error: Cannot forward the SSH agent: SSH_AUTH_SOCK is not set\nhint: Start an agent and give it a key: eval "$(ssh-agent)" && ssh-add\n',
  ],
  [
    'an option that is not known',
    ['--bogus', 'm1'],
    2,
    "Error: unknown option '--bogus'\nhint: fleetctl help ssh\n",
  ],
  [
    'neither a machine nor a unit',
    ['gone'],
    4,
    'Error: No such machine or unit: "gone"\nhint: Machines: fleetctl list-machines --fields machine,name,ip; units: fleetctl list-unit-files\n',
  ],
  [
    'a unit name that can be none',
    ['--unit', 'a b'],
    2,
    'Error: Cannot use "a b" as a unit name: it must not contain " "\nhint: A unit name consists of letters, digits and : - _ . \\ @, as in web@1.service\n',
  ],
])('ssh with %s', async (_, words, status, err) => {
  const desk = await makeDesk(REFUSING);
  expect(await desk.run(['ssh', ...words])).toEqual({ status, out: '', err });
});
