import { afterAll, beforeAll, expect, it } from 'vitest';
import { inside, MACHINES, onMachines, SUBNET } from '../support/cluster.ts';
import { createOperator, PROGRAM } from './operator.ts';
import { hasTerminals, Terminal } from './terminal.ts';

const PASSWORD = 'correct horse "$battery';

/** Sets a password for the user core that sudo asks for on these machines, through PAM; k3 has a different one. */
const PROTECT = `
  printf 'auth required pam_unix.so nodelay\\naccount required pam_permit.so\\nsession required pam_permit.so\\n' >/etc/pam.d/sudo
  sed -i 's/^core ALL.*/core ALL=(ALL:ALL) ALL/; 1i Defaults timestamp_timeout=0' /etc/sudoers`;
const setPassword = (text: string): string => `printf '%s\\n' 'core:${text}' | chpasswd -c SHA512 2>&1`;
/** The number of refused passwords on each machine. */
const FAILURES = 'journalctl -q --no-pager -o cat | grep -c "sudo.*authentication failure" || true';

onMachines('sudo with a password', () => {
  const operator = createOperator({ ssh: { user: 'core' }, machines: ['k1', 'k2'] });
  beforeAll(async () => {
    for (const name of MACHINES) {
      await inside(name, `cp /etc/sudoers /etc/sudoers.kept; cp /etc/pam.d/sudo /root/pam.kept; ${PROTECT}`);
      await inside(name, setPassword(name === 'k3' ? 'other' : PASSWORD));
    }
  });
  afterAll(async () => {
    for (const name of MACHINES) {
      await inside(
        name,
        'mv /etc/sudoers.kept /etc/sudoers; mv /root/pam.kept /etc/pam.d/sudo; usermod -p "*" core',
      );
    }
  });
  const list = (env: Record<string, string> = {}) =>
    operator.launch(['list-machines', '--no-legend', '--fields=name,state'], { env }).ended;

  it('reports that a password is needed, and how to give one', async () => {
    const { status, stdout, stderr } = await list();
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'k1  unreachable\nk2  unreachable\n' });
    expect(stderr).toContain('Cannot use machine "k1": "sudo: a password is required"');
    expect(stderr).toContain('--ask-become-pass');
  });

  it('takes the password from the environment', async () => {
    const { stdout, stderr } = await list({ FLEETCTL_BECOME_PASSWORD: PASSWORD });
    expect({ stdout, stderr }).toEqual({ stdout: 'k1  reachable\nk2  reachable\n', stderr: '' });
  });

  it.runIf(hasTerminals)('takes the password from the terminal, and does not echo it', async () => {
    const terminal = new Terminal([PROGRAM, '-K', 'list-machines', '--fields=name,state'], {
      cwd: operator.folder,
      env: { ...operator.environment },
    });
    await terminal.shows(/Password for sudo on the machines: /);
    terminal.type(`${PASSWORD}\r`);
    expect(await terminal.ended).toEqual({ status: 0, restored: true });
    expect(terminal.screen).toContain('k2    reachable');
    expect(terminal.screen).not.toContain('horse');
  });

  it('takes the password from a command, also one for a single machine', async () => {
    operator.write('password', `${PASSWORD}\nsecond line\n`);
    const own = `[machine.k3]\naddress = ${SUBNET}.3\nbecome_password_command = echo other\n`;
    operator.write(
      'both.conf',
      `${operator.read('fleet.conf')}\n${own}`.replace(
        '[ssh]',
        '[ssh]\nbecome_password_command = cat password',
      ),
    );
    const { stdout, stderr } = await operator.fleetctl(
      '--config=both.conf',
      'list-machines',
      '--no-legend',
      '--fields=name,state',
    );
    expect({ stdout, stderr }).toEqual({
      stdout: 'k1  reachable\nk2  reachable\nk3  reachable\n',
      stderr: '',
    });
  });

  it('tries a wrong password once, on one machine, and does not print it', async () => {
    const { status, stdout, stderr } = await list({ FLEETCTL_BECOME_PASSWORD: 'Wr0ng' });
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'k1  unreachable\nk2  unreachable\n' });
    expect(stderr.match(/sudo did not take the password/g)).toHaveLength(1);
    expect(stderr.match(/was not sent there/g)).toHaveLength(1);
    expect(stderr).not.toContain('Wr0ng');
    const failures = await Promise.all(['k1', 'k2'].map((name) => inside(name, FAILURES)));
    expect(failures.map((text) => Number(text)).sort()).toEqual([0, 1]);
  });

  it('reports a missing permission and a missing terminal differently from a wrong password', async () => {
    await inside('k1', 'sed -i "s/^core .*/other ALL=(ALL) ALL/" /etc/sudoers');
    await inside('k2', 'sed -i "1i Defaults requiretty" /etc/sudoers');
    const { stderr } = await list({ FLEETCTL_BECOME_PASSWORD: PASSWORD });
    expect(stderr).toMatch(/Cannot use machine "k1": .*core is not in the sudoers file/);
    expect(stderr).toContain('hint: Run visudo there and add "core ALL=(ALL) ALL"');
    expect(stderr).toContain('Cannot use machine "k2": "sudo: sorry, you must have a tty to run sudo"');
    expect(stderr).toContain('hint: Run visudo there and add "Defaults:core !requiretty"');
  });
});

onMachines('doas', () => {
  const operator = createOperator({ ssh: { user: 'plain', become: 'doas' }, machines: ['k1', 'k2'] });
  afterAll(() => Promise.all(['k1', 'k2'].map((name) => inside(name, 'rm -f /etc/doas.conf'))));

  it('needs no password, and reports what the user may not do', async () => {
    await inside(
      'k1',
      'command -v doas >/dev/null; echo "permit nopass plain" >/etc/doas.conf; chmod 600 /etc/doas.conf',
    );
    await inside('k2', 'echo "permit plain" >/etc/doas.conf; chmod 600 /etc/doas.conf');
    const { stdout, stderr } = await operator.fleetctl('list-machines', '--no-legend', '--fields=name,state');
    expect(stdout).toBe('k1  reachable\nk2  unreachable\n');
    expect(stderr).toContain('Cannot use machine "k2": "doas: Authentication required"');
    expect(stderr).toContain('hint: doas takes a password from a terminal only: write "permit nopass plain"');
  });
});
