import { expect, it } from 'vitest';
import { problemOf, sandbox } from './sandbox.ts';

const box = sandbox();
const TIMEOUT = 'a duration from 100ms to 10m, such as 5s';

it.each([
  ['sshTimeout', '--ssh-timeout', '5', TIMEOUT],
  ['sshUsername', '--ssh-username', '', 'a user name'],
  ['sshUsername', '--ssh-username', 'a\nb', 'a user name'],
  ['sshIdentityFile', '--ssh-identity-file', '', 'a path'],
  ['knownHostsFile', '--known-hosts-file', '~x/y', 'a path (only your own home folder can be written as ~)'],
  [
    'strictHostKeyChecking',
    '--strict-host-key-checking',
    'NO',
    'ask, yes or accept-new (host keys are always verified)',
  ],
  ['config', '--config', '', 'a path'],
])('a bad %s names the flag %s: %j', async (name, flag, value, expected) => {
  const load = box.loadText('[machine.a]\naddress = a\n', { flags: { [name]: value } });
  expect((await problemOf(load, box.cwd))[0]).toBe(
    `option "${flag}" must be ${expected}: ${JSON.stringify(value)}`,
  );
});

it.each([
  ['FLEETCTL_SSH_TIMEOUT', 'soon', TIMEOUT],
  ['FLEETCTL_SSH_USERNAME', 'a b', 'a user name'],
  ['FLEETCTL_SSH_IDENTITY_FILE', '~bob/key', 'a path (only your own home folder can be written as ~)'],
  ['FLEETCTL_KNOWN_HOSTS_FILE', '~bob', 'a path (only your own home folder can be written as ~)'],
  ['FLEETCTL_STRICT_HOST_KEY_CHECKING', 'false', 'ask, yes or accept-new (host keys are always verified)'],
  ['FLEETCTL_CONFIG', '~bob/fleet.conf', 'a path (only your own home folder can be written as ~)'],
])('a bad %s names the variable: %j', async (variable, value, expected) => {
  const load = box.loadText('[machine.a]\naddress = a\n', { env: { [variable]: value } });
  expect((await problemOf(load, box.cwd))[0]).toBe(
    `environment variable "${variable}" must be ${expected}: ${JSON.stringify(value)}`,
  );
});

it('a bad variable that a flag beats does no harm', async () => {
  const request = { flags: { sshTimeout: '1s' }, env: { FLEETCTL_SSH_TIMEOUT: 'soon' } };
  const config = await box.loadText('[machine.a]\naddress = a\n', request);
  expect(config.machines[0]?.settings.connect_timeout).toBe(1000);
});
