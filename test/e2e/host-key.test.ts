import { spawn } from 'node:child_process';
import { beforeEach, expect, it } from 'vitest';
import { addressOf, hostKeyOf, inside, onMachines, SUBNET } from '../support/cluster.ts';
import { createOperator, done, type Operator, PROGRAM } from './operator.ts';

/** A known_hosts file of the operator, empty at first. */
const UNKNOWN = { known_hosts_file: 'known_hosts' };

onMachines('an unknown host key', () => {
  const operator = createOperator();
  beforeEach(() => {
    operator.configure({ machines: ['k1', 'k2'], ssh: UNKNOWN });
    operator.write('known_hosts', '');
  });

  it('is refused with its fingerprint when there is no terminal', async () => {
    const { status, stderr } = await operator.fleetctl('list-machines');
    expect(status).toBe(0);
    for (const machine of ['k1', 'k2']) {
      expect(stderr).toContain(
        `Warning: Cannot reach machine "${machine}" (${addressOf(machine)}:22): its host key is not known: ` +
          `ssh-ed25519 ${await fingerprintOf(machine)};`,
      );
    }
    expect(operator.read('known_hosts')).toBe('');
  });

  it('is stored with accept-new, for later commands', async () => {
    const flag = ['--strict-host-key-checking', 'accept-new'];
    expect(await operator.fleetctl(...flag, 'list-units', '--no-legend')).toEqual(done());
    const learnt = operator.read('known_hosts').trimEnd().split('\n');
    expect(learnt.toSorted()).toEqual(['k1', 'k2'].map((name) => `${addressOf(name)} ${hostKeyOf(name)}`));
    expect(await operator.fleetctl('list-units', '--no-legend')).toEqual(done());
  });

  it('is confirmed on a terminal, once for each machine, and stored', async () => {
    const { status, shown } = await onTerminal(
      operator,
      ['list-units', '--no-legend'],
      ['yes\n', 'maybe\n', 'yes\n'],
    );
    expect(status).toBe(0);
    for (const machine of ['k1', 'k2']) {
      expect(shown).toContain(
        `The authenticity of machine "${machine}" (${addressOf(machine)}) cannot be established.\r\n` +
          `Its key is ssh-ed25519 ${await fingerprintOf(machine)}\r\n` +
          'Are you sure you want to continue connecting (yes/no)? ',
      );
    }
    expect(shown).toMatch(/\? maybe\s+Type "yes" or "no"\.\s+Are you sure/);
    expect(await operator.fleetctl('list-units', '--no-legend')).toEqual(done());
  });

  it.each([
    ['no', 'no\n'],
    ['Ctrl-D', '\u0004'],
  ])('is not stored with %s', async (_answer, keys) => {
    const { status, shown } = await onTerminal(operator, ['list-machines', '--no-legend'], [keys, keys]);
    expect(status).toBe(0);
    expect(shown.match(/its host key was not accepted: ssh-ed25519 SHA256:/g)).toHaveLength(2);
    expect(operator.read('known_hosts')).toBe('');
  });

  it('ends the command when the question is interrupted with Ctrl-C', async () => {
    const { status, shown } = await onTerminal(operator, ['list-machines'], ['\u0003']);
    expect(status).toBe(130);
    expect(shown).toContain('Interrupted.');
    expect(operator.read('known_hosts')).toBe('');
  });
});

onMachines('a changed host key', () => {
  const operator = createOperator({ ssh: { ...UNKNOWN, strict_host_key_checking: 'accept-new' } });

  it('is refused with both fingerprints, also on a terminal, before any login', async () => {
    operator.write('known_hosts', `# kept\n${addressOf('k2')} ${hostKeyOf('k1')}\n`);
    const message =
      `Cannot reach machine "k2" (${SUBNET}.2:22): its host key has changed: it shows ssh-ed25519 ${await fingerprintOf('k2')}, ` +
      `but line 2 of "${operator.folder}/known_hosts" has ssh-ed25519 ${await fingerprintOf('k1')}`;
    const before = await loginsOn('k2');
    const { status, stderr } = await operator.launch(['list-units']).ended;
    expect(status).toBe(0);
    expect(stderr).toContain(message);
    expect((await onTerminal(operator, ['list-units'], [])).shown).toContain(message);
    expect(await loginsOn('k2')).toBe(before);
    expect(operator.read('known_hosts')).toContain(`# kept\n${addressOf('k2')} ${hostKeyOf('k1')}\n`);
  });
});

async function fingerprintOf(machine: string): Promise<string> {
  const line = await inside(machine, 'ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub');
  return line.split(' ')[1] ?? '';
}

function loginsOn(machine: string): Promise<string> {
  return inside(
    machine,
    'journalctl --sync; journalctl --quiet --unit=sshd | grep -c -e Accepted -e Failed || true',
  );
}

/** Runs fleetctl on a terminal, and types one of `answers` at each question. */
async function onTerminal(
  operator: Operator,
  words: readonly string[],
  answers: readonly string[],
): Promise<{ readonly status: number | null; readonly shown: string }> {
  const command = [PROGRAM, ...words].join(' ');
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    cwd: operator.folder,
    env: { ...operator.environment, TERM: 'dumb' },
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: 30_000,
  });
  const status = new Promise<number | null>((resolve) => child.on('close', resolve));
  let shown = '';
  let answered = 0;
  for await (const chunk of child.stdout) {
    shown += chunk;
    for (const asked = shown.split('(yes/no)? ').length - 1; answered < asked; answered++) {
      child.stdin.write(answers[answered] ?? '');
    }
  }
  return { status: await status, shown };
}
