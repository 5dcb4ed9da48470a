import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, inject, it, vi } from 'vitest';
import { onMachines } from '../support/cluster.ts';
import { createOperator, done, SLEEPER } from './operator.ts';

const FLEETD = join(inject('program'), 'bin/fleetd');
const soon = { timeout: 20_000, interval: 100 };
const UNITS = ['list-units', '--no-legend', '--fields=unit,active,sub'];

onMachines('the HTTP API of fleetd', () => {
  const operator = createOperator();
  let daemon: ChildProcess;

  function run(program: string, ...words: readonly string[]): ChildProcess {
    const options = { cwd: operator.folder, env: operator.environment, stdio: 'ignore' } as const;
    return spawn(program, words, options);
  }

  beforeAll(async () => {
    daemon = run(FLEETD);
    await vi.waitFor(async () => expect((await ask('GET', '/healthz')).status).toBe(200), soon);
  });
  afterAll(() => end(daemon));

  function ask(method: string, path: string, body?: object, socket = 'fleet.sock') {
    return new Promise<{ status: number; body: string }>((resolve, reject) => {
      const headers = { 'content-type': 'application/json' };
      const socketPath = join(operator.folder, socket);
      const request = http.request({ socketPath, method, path, headers, agent: false }, (response) => {
        text(response).then((said) => resolve({ status: response.statusCode ?? 0, body: said }), reject);
      });
      request.on('error', reject).end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  it('launches and deletes a unit, and serves the lists of fleetctl', async () => {
    const options = [{ section: 'Service', name: 'ExecStart', value: '/bin/sleep 100000' }];
    const unit = '/fleet/v1/units/web.service';
    expect(await ask('PUT', unit, { desiredState: 'launched', options })).toEqual({ status: 201, body: '' });
    await vi.waitFor(
      async () => expect((await ask('GET', unit)).body).toContain('"currentState":"launched"'),
      soon,
    );
    const endpoint = `--endpoint=unix://${join(operator.folder, 'fleet.sock')}`;
    const row = done('web.service  active  running\n');
    expect(await operator.fleetctl(...UNITS, endpoint)).toEqual(row);
    expect(await operator.fleetctl(...UNITS, '--endpoint=none')).toEqual(row);
    expect((await ask('GET', '/metrics')).body).toMatch(/^fleet_ssh_connects_total [1-9]/m);

    expect((await ask('DELETE', unit)).status).toBe(204);
    await vi.waitFor(
      async () => expect(await operator.fleetctl(...UNITS, '--endpoint=none')).toEqual(done()),
      soon,
    );
  });

  it('shows the result of a command that has just finished', async () => {
    operator.write('quick.service', SLEEPER);
    await operator.fleetctl('start', 'quick');
    expect(await operator.fleetctl(...UNITS)).toEqual(done('quick.service  active  running\n'));
    await operator.fleetctl('stop', 'quick');
    expect(await operator.fleetctl(...UNITS)).toEqual(done('quick.service  inactive  dead\n'));
  });

  it('stops and starts again without leaving a stale socket', async () => {
    daemon.kill('SIGHUP');
    await vi.waitFor(async () => expect((await ask('GET', '/healthz')).status).toBe(200), soon);
    await end(daemon);
    expect(existsSync(join(operator.folder, 'fleet.sock'))).toBe(false);
  });

  it('serves a socket that systemd has opened, also after SIGHUP', async () => {
    const path = join(operator.folder, 'activated.sock');
    const environment = Object.entries(operator.environment).map(
      ([name, value]) => `--setenv=${name}=${value}`,
    );
    daemon = run('systemd-socket-activate', '-l', path, ...environment, FLEETD);
    const isWell = async () =>
      expect((await ask('GET', '/healthz', undefined, 'activated.sock')).status).toBe(200);
    await vi.waitFor(isWell, soon);
    daemon.kill('SIGHUP');
    await vi.waitFor(isWell, soon);
    expect(existsSync(join(operator.folder, 'fleet.sock'))).toBe(false);
  });
});

async function end(daemon: ChildProcess): Promise<void> {
  if (daemon.exitCode !== null || daemon.signalCode !== null) return;
  daemon.kill('SIGTERM');
  await once(daemon, 'exit');
}
