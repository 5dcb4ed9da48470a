import { setTimeout as sleep } from 'node:timers/promises';
import { isFleetError } from '../../src/base/errors.ts';
import { openMachinesStore } from '../../src/cli/machines-store.ts';
import type { Streams } from '../../src/cli/streams.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { QuorumStore } from '../../src/quorum/store.ts';
import { hashUnitFile, parseUnitFile } from '../../src/unit/unit-file.ts';
import { type Operator, service } from '../e2e/operator.ts';

/** What a client has done. `unknown`: it got no answer, so the change may have been made. */
export type Tally = { acknowledged: number; unknown: number; conflicts: number; longestMs: number };

/** A store in its own register on the machines of an operator, over its own connections. */
export async function openCounter(operator: Operator): Promise<QuorumStore> {
  const streams: Streams = {
    out: () => undefined,
    err: () => undefined,
    exact: () => undefined,
    ask: undefined,
    env: operator.environment,
    cwd: operator.folder,
    home: operator.folder,
  };
  const config = await loadConfig({ flags: {}, env: streams.env, cwd: streams.cwd, home: streams.home });
  return (await openMachinesStore('counter', config, streams)).store;
}

const KEY = 'counter';

/** Adds one to the counter until `isOver`, with compare-and-swap, after a random pause of at most `pauseMs`. */
export async function count(
  store: QuorumStore,
  isOver: (tally: Tally) => boolean,
  pauseMs = 0,
): Promise<Tally> {
  const tally = { acknowledged: 0, unknown: 0, conflicts: 0, longestMs: 0 };
  let began = performance.now();
  while (!isOver(tally)) {
    const result = await addOne(store);
    if (result === 'unread') await sleep(100);
    else tally[result]++;
    if (result !== 'acknowledged') continue;
    tally.longestMs = Math.max(tally.longestMs, performance.now() - began);
    await sleep(Math.random() * pauseMs);
    began = performance.now();
  }
  return tally;
}

async function addOne(store: QuorumStore): Promise<'acknowledged' | 'unknown' | 'conflicts' | 'unread'> {
  let isRead = false;
  try {
    const record = await store.get(KEY);
    isRead = true;
    const value = String(Number(record?.value ?? 0) + 1);
    const { kind } = await store.commit([
      { kind: 'put', key: KEY, value, ifRevision: record?.revision ?? 0 },
    ]);
    return kind === 'committed' ? 'acknowledged' : 'conflicts';
  } catch (error) {
    if (!isFleetError(error)) throw error;
    return isRead ? 'unknown' : 'unread';
  }
}

/**
 * Gives the voters of the counter that have lost their copy a new one, which a controller does for the registry and its lock. False until
 * all have one.
 */
export async function renewVoters(operator: Operator, machines: readonly string[]): Promise<boolean> {
  // A process does not try to renew the same voter again at once.
  const store = await openCounter(operator);
  try {
    const { voters = [] } = (await store.status()) ?? {};
    // One that is behind has its state, and gets the value with the next change.
    if (voters.every(({ state }) => state === 'current' || state === 'behind')) return true;
    await store.tend(
      machines.map((machine) => ({ machine, answers: true, condition: 'good', mark: undefined })),
    );
    return false;
  } catch (error) {
    if (!isFleetError(error)) throw error;
    return false;
  } finally {
    await store.close();
  }
}

export async function readCounter(store: QuorumStore): Promise<number> {
  return Number((await store.get(KEY))?.value ?? 0);
}

/** The texts that an operator has submitted for a unit, by hash. */
export type Submitted = { readonly acknowledged: Set<string>; readonly attempted: Set<string> };

/** The longest pause between two texts, in ms. */
const PAUSE_MS = 1000;

/** Submits one text after the other; some commands are killed. */
export async function submitTexts(
  operator: Operator,
  unit: string,
  isOver: () => boolean,
  random: () => number,
): Promise<Submitted> {
  const submitted = { acknowledged: new Set<string>(), attempted: new Set<string>() };
  for (let version = 1; !isOver(); version++) {
    const text = service(`ExecStart=/bin/sleep ${100_000 + version}\nEnvironment=BY=${operator.folder}`);
    operator.write(`${version % 2}/${unit}`, text);
    const hash = hashUnitFile(parseUnitFile(text));
    submitted.attempted.add(hash);
    const words = ['submit', '--replace', `${version % 2}/${unit}`];
    const { process, ended } = operator.launch(words, {
      env: { XDG_CACHE_HOME: `${operator.folder}/cache` },
    });
    if (random() < 0.2) setTimeout(() => process.kill('SIGKILL'), random() * 1500);
    if ((await ended).status === 0) submitted.acknowledged.add(hash);
    await sleep(random() * PAUSE_MS);
  }
  return submitted;
}
