import { expect, it } from 'vitest';
import { shellEnded } from '../../src/ssh/become.ts';
import { TARGET_DEFAULTS } from '../../src/ssh/target.ts';

const machine = { ...TARGET_DEFAULTS, name: 'm1', host: '127.0.0.1' };

it.each([
  ['root', 'sudo', false, 'root logs in there, but gets no shell: look at ForceCommand in sshd_config'],
  ['core', 'none', false, 'The user needs root rights: log in as root'],
  ['core', 'sudo', false, 'The user needs root rights: log in as root'],
  ['core', 'sudo', true, 'It was under way: .*, also by a command_timeout in sudoers$'],
  ['root', 'sudo', true, 'It was under way: .* its shell was killed$'],
] as const)('a shell of %s with %s that ended, after an answer: %s', (user, become, hasAnswered, hint) => {
  const error = shellEnded({ ssh: { ...machine, user }, become }, '', 124, hasAnswered);
  expect(error.message).toBe('Cannot use machine "m1": its shell ended early: 124');
  expect(error.hint).toMatch(new RegExp(hint));
});
