import { describe, expect, it } from 'vitest';
import type { UnitOutcome } from '../../src/cluster/failure.ts';
import { createLocalMachine } from '../support/local-machine.ts';
import { changes, recordOf, unitText } from './changes.ts';

const WEB = 'web.service';
const PLAIN = unitText('plain');
const SLOW_START = unitText('slow', 'ExecStart=hold');
const SLOW_STOP = unitText('slow', 'ExecStart=/bin/sleep 1000', 'ExecStop=hold');

const AT_ONCE = { wait: { blocks: false, timeoutMs: undefined } };
const SHORT = { wait: { blocks: true, timeoutMs: 300 } };
/** Far more than the shells of a busy box need, far less than the two minutes that are waited otherwise. */
const MOST_MS = 20_000;

const said = (outcomes: readonly UnitOutcome[]): readonly unknown[] =>
  outcomes.map(({ state, failure, triggered }) => [state?.active, failure?.code, triggered]);

describe('a change without waiting', () => {
  it('queues a start and comes back', async () => {
    const machine = await createLocalMachine();
    const outcomes = await machine.change([changes.launch(WEB, SLOW_START, 1)], AT_ONCE);
    expect(said(outcomes)).toEqual([['activating', undefined, 'start']]);
    expect(machine.calls('list-jobs')).toEqual([]);
  });

  it('still tells what systemd does not even take', async () => {
    const machine = await createLocalMachine();
    const bad = unitText('bad', 'ExecStart=/nonexistent');
    const outcomes = await machine.change(
      [changes.launch('bad.service', bad, 1), changes.launch(WEB, PLAIN, 1)],
      AT_ONCE,
    );
    expect(said(outcomes)).toEqual([
      ['inactive', 'not-up', undefined],
      ['active', undefined, 'start'],
    ]);
  });

  it('queues a stop and notes it', async () => {
    const machine = await createLocalMachine();
    await machine.change([changes.launch(WEB, SLOW_STOP, 1)]);
    const outcomes = await machine.change([changes.stop(WEB, SLOW_STOP, 2)], AT_ONCE);
    expect(said(outcomes)).toEqual([['deactivating', undefined, 'stop']]);
    expect((await machine.observe()).units[0]?.record).toEqual(recordOf(WEB, SLOW_STOP, 2, 'loaded'));
  });

  it('waits all the same before it removes the file of a unit, or replaces it', async () => {
    const machine = await createLocalMachine();
    const text = unitText('old', 'ExecStart=/bin/sleep 1000', 'ExecStop=three-looks');
    await machine.change([
      changes.launch('gone.service', text, 1),
      changes.launch('new.service', text, 1),
      changes.launch(WEB, SLOW_STOP, 1),
    ]);
    const outcomes = await machine.change(
      [
        changes.remove('gone.service', 2),
        changes.restart('new.service', PLAIN, 2),
        changes.stop(WEB, SLOW_STOP, 2),
      ],
      AT_ONCE,
    );
    expect(outcomes.map(({ failure, triggered }) => [failure, triggered])).toEqual([
      [undefined, undefined],
      [undefined, 'start'],
      [undefined, 'stop'],
    ]);
    const events = machine.events();
    expect(events.indexOf('stopped new.service')).toBeLessThan(events.indexOf('start new.service as plain'));
    expect(events).toContain('stopped gone.service');
    expect(machine.text('etc/gone.service')).toBeUndefined();
  });
});

describe('a change that is waited for no longer than that', () => {
  it('reports the units that have started and those that have not, and systemd continues', async () => {
    const machine = await createLocalMachine();
    const before = performance.now();
    const outcomes = await machine.change(
      [changes.launch('slow.service', SLOW_START, 1), changes.launch(WEB, PLAIN, 1)],
      SHORT,
    );
    expect(performance.now() - before).toBeLessThan(MOST_MS);
    expect(said(outcomes)).toEqual([
      ['activating', 'not-up', undefined],
      ['active', undefined, undefined],
    ]);
    machine.tell('release');
    expect(said(await machine.change([changes.start('slow.service', SLOW_START, 2)]))).toEqual([
      ['active', undefined, undefined],
    ]);
  });

  it('leaves a unit where it is that has not stopped, and the next pass ends it', async () => {
    const machine = await createLocalMachine();
    await machine.change([changes.launch(WEB, SLOW_STOP, 1)]);
    expect((await machine.change([changes.remove(WEB, 2)], SHORT))[0]?.failure).toMatchObject({
      code: 'not-down',
      state: 'deactivating stop-sigterm',
      again: false,
    });
    expect(machine.text('etc', WEB)).toBe(SLOW_STOP);
    machine.tell('release');
    expect((await machine.change([changes.remove(WEB, 2)]))[0]?.failure).toBeUndefined();
    expect(machine.text('etc', WEB)).toBeUndefined();
  });
});
