import { describe, expect, it } from 'vitest';
import { FleetError, isFleetError } from '../../src/base/errors.ts';
import type { Observation } from '../../src/cluster/snapshot.ts';
import { mayBeDown } from '../../src/cluster/unreachable.ts';
import { toDo } from '../../src/controller/to-do.ts';
import { LIMITS } from '../../src/machine/limits.ts';
import { trustedViews } from '../../src/reconcile/trust.ts';
import { TARGET_DEFAULTS } from '../../src/ssh/target.ts';
import type { MachineSession } from '../../src/systemd/driver.ts';
import { examineQuery } from '../../src/systemd/examination.ts';
import { observeQuery } from '../../src/systemd/observation.ts';
import { extendQuery, statusQuery } from '../../src/systemd/queries.ts';
import { ShowCache } from '../../src/systemd/show-cache.ts';
import { createSshDriver } from '../../src/systemd/ssh-driver.ts';
import { cluster } from '../support/builders.ts';
import {
  type Attack,
  answers,
  FLOODS,
  fuzzed,
  HostileTransport,
  honest,
  LIES,
  lying,
  MAX_RECEIVED,
  print,
  sectionsFor,
} from '../support/hostile-machine.ts';
import { usedMemory } from '../support/process.ts';
import { runs, seeded } from '../support/random.ts';

const MIB = 1024 * 1024;
/** A release is tried with 100,000. */
const ROUNDS = runs(500);
const MACHINE = { name: 'm9', address: '127.0.0.1', metadata: {} };
const LOOK = { names: [], digests: true, vitals: true };

async function connect(transport: HostileTransport): Promise<MachineSession> {
  const ssh = { ...TARGET_DEFAULTS, name: 'm9', host: '127.0.0.1', user: 'root' };
  const access = () => ({ ssh, become: 'none' as const });
  return createSshDriver(transport, { access, settleMs: 0 }).connect(MACHINE);
}

/** The failure of a machine that attacks when it is looked at. */
async function failureOf(attack: Attack) {
  const transport = new HostileTransport(attack);
  const session = await connect(transport);
  const error = await session.ask(observeQuery(LOOK)).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  session.close();
  return { error, transport };
}

function expectBadAnswer(error: unknown): void {
  expect(error).toBeInstanceOf(FleetError);
  expect(error).toMatchObject({ code: 'bad-answer', message: expect.stringContaining('machine "m9"') });
  expect(mayBeDown(error as FleetError)).toBe(false);
  expectClean(error as FleetError);
}

/** One line, of a sensible length, that does not control a terminal. */
function expectClean({ message }: FleetError): void {
  expect(message.length).toBeLessThan(500);
  expect(message.split('Cannot use machine').length).toBeLessThan(3);
  expect(message).not.toMatch(/[\p{Cc}\p{Bidi_Control}]|\bat .*\.ts:\d/u);
}

describe('a machine that sends more than fleet takes', () => {
  it.each(Object.entries(FLOODS))('is unusable, and its channel is closed: %s', async (_, attack) => {
    const before = usedMemory();
    const started = performance.now();
    const { error, transport } = await failureOf(attack);
    const took = performance.now() - started;
    expectBadAnswer(error);
    expect(transport.open).toBe(0);
    expect(transport.taken).toBeLessThan(4 * MAX_RECEIVED);
    expect(took).toBeLessThan(5_000);
    expect(usedMemory() - before).toBeLessThan(50 * MIB);
  });

  it('without a request is disconnected, too', async () => {
    const transport = new HostileTransport(async (question, wire) => {
      await honest()(question, wire);
      while (!wire.isClosed) await wire.stdout(Buffer.alloc(16 * 1024, 'x'));
    });
    const session = await connect(transport);
    await session.ask(observeQuery(LOOK));
    await session.ended;
    expect(transport.open).toBe(0);
    expect(transport.taken).toBeLessThan(4 * LIMITS.unasked.most);
    await expect(session.ask(observeQuery(LOOK))).rejects.toMatchObject({ code: 'bad-answer' });
  });

  it('in its journal ends that journal alone', async () => {
    const start = ({ marker }: { marker: string }): Buffer =>
      Buffer.from(`\n${marker} 1795414339 +0000 UTC\n`);
    for (const noise of ['x'.repeat(64 * 1024), '{}\n'.repeat(20_000)]) {
      const transport = new HostileTransport(async (question, wire) => {
        await wire.stdout(start(question));
        while (!wire.isClosed) await wire.stdout(Buffer.from(noise));
      });
      const ssh = { ...TARGET_DEFAULTS, name: 'm9', host: '127.0.0.1', user: 'root' };
      const driver = createSshDriver(transport, {
        access: () => ({ ssh, become: 'none' as const }),
        settleMs: 0,
      });
      const stream = await driver.journal(MACHINE, {
        units: ['a.service'],
        output: 'short',
        lines: 5,
        since: undefined,
        until: undefined,
        after: undefined,
        follow: false,
        sudo: false,
      });
      let bytes = 0;
      stream.onText((text) => {
        bytes += text.length;
      });
      const error = await stream.ended.catch((reason: unknown) => reason);
      expectBadAnswer(error);
      expect(transport.open).toBe(0);
      expect(bytes).toBeLessThanOrEqual(5 * LIMITS.entry.most);
    }
  });
});

describe('a machine that sends what no systemd and no fleet writes', () => {
  it.each(LIES)('is unusable, with that as the reason: %s', async (_, from, to) => {
    const { error } = await failureOf(lying(from, to));
    expectBadAnswer(error);
  });

  it('is used as long as it tells the truth', async () => {
    const transport = new HostileTransport(honest(['a.service', 'web@1.service']));
    const session = await connect(transport);
    for (const more of [{}, { shown: new ShowCache() }]) {
      const { units, vitals } = await session.ask(observeQuery({ ...LOOK, ...more }));
      expect(units.map(({ name, record, state }) => [name, record?.token, state.active])).toEqual([
        ['a.service', 1, 'active'],
        ['web@1.service', 1, 'active'],
      ]);
      expect(vitals?.memory?.totalBytes).toBe(4096 * 1024);
    }
    expect((await session.ask(examineQuery())).uid).toBe(0);
    expect(await session.ask(statusQuery({ units: ['a.service'], lines: 1 }))).toEqual(['● a.service']);
  });

  /** The sections of each question, of which any may be missing or have failed. */
  const request = { names: ['a.service'], digests: true, vitals: true, backup: true, token: true };
  const asked: Readonly<Record<string, (session: MachineSession) => Promise<unknown>>> = {
    observe: (session) => session.ask(observeQuery(request)),
    statuses: (session) => session.ask(statusQuery({ units: ['a.service'], lines: 1 })),
    extension: (session) => session.ask(extendQuery({ bootId: 'b0b0', deadline: 1 })),
  };
  const required: readonly (readonly [string, string])[] = [
    ...['facts', 'records', 'recorded', 'digests', 'links', 'texts', 'tokens', 'found'].map(
      (name) => ['observe', name] as const,
    ),
    ['statuses', 'status:0'],
    ['extension', 'extend'],
  ];

  it.each(required)('in answer to %s is unusable without its section %s', async (name, missing) => {
    const transport = new HostileTransport(
      answers((question) => {
        const sections = sectionsFor(question, ['a.service']).filter((section) => section.name !== missing);
        return print(sections, question.marker);
      }),
    );
    const session = await connect(transport);
    await expect(asked[name]?.(session)).rejects.toMatchObject({ code: 'remote-script' });
  });

  it.each(['units', 'invocations', 'listed', 'vitals'])(
    'has units in an unknown state without its section %s, or shows them',
    async (missing) => {
      const transport = new HostileTransport(
        answers((question) => {
          const sections = sectionsFor(question, ['a.service']).filter((section) => section.name !== missing);
          return print(sections, question.marker);
        }),
      );
      const session = await connect(transport);
      const observation = await session.ask(
        observeQuery({ ...LOOK, ...(missing !== 'units' && { shown: new ShowCache() }) }),
      );
      expect(observation.units.map(({ state }) => state.active)).toEqual([
        missing === 'units' ? 'unknown' : 'active',
      ]);
    },
  );

  it.each(['identity', 'facts', 'absent', 'containers', 'units'])(
    'is not in order for doctor without the section %s',
    async (missing) => {
      const transport = new HostileTransport(
        answers((question) => {
          const sections = sectionsFor(question, []).filter((section) => section.name !== missing);
          return print(sections, question.marker);
        }),
      );
      await expect((await connect(transport)).ask(examineQuery())).rejects.toMatchObject({
        code: 'remote-script',
      });
    },
  );
});

describe(`answers that are forged at random, ${ROUNDS} of them`, () => {
  it(
    'are used or refused, and end nothing else',
    async () => {
      const seed = Number(process.env.FLEET_SEED ?? 13);
      const random = seeded(seed);
      const transport = new HostileTransport(fuzzed(random), { endsWhenIdle: true });
      const calm = cluster()
        .machine('m1')
        .unreachable('m9', 0)
        .unit('a.service')
        .unit('b.service')
        .snapshot();
      let refused = 0;
      let memory = 0;
      for (let round = 0; round < ROUNDS; round++) {
        if (round === Math.min(2_000, ROUNDS - 1)) memory = usedMemory();
        const session = await connect(transport);
        const request = random() < 0.5 ? { ...LOOK, shown: new ShowCache() } : LOOK;
        let observation: Observation | undefined;
        try {
          observation = await session.ask(observeQuery(request));
        } catch (error) {
          if (!isFleetError(error)) throw new Error(`seed ${seed}, round ${round}`, { cause: error });
          if (error.code === 'bad-answer') expectClean(error);
          refused++;
        }
        session.close();
        if (observation === undefined) continue;
        // What was used can be decided about.
        const machines = calm.machines.map((view) =>
          view.machine.name === 'm9'
            ? { ...view, id: observation.id, observation, unreachable: undefined }
            : view,
        );
        toDo({ ...calm, machines: trustedViews(machines, { machines: new Map() }, calm.now) });
        expect(JSON.stringify(observation)).not.toContain('null');
      }
      expect(refused).toBeGreaterThan(ROUNDS / 5);
      expect(refused).toBeLessThan(ROUNDS);
      await expect.poll(() => transport.open).toBe(0);
      expect(usedMemory() - memory).toBeLessThan(50 * MIB);
    },
    60_000 + 50 * ROUNDS,
  );
});
