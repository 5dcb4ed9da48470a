import { describe, expect, it } from 'vitest';
import { compareText } from '../../src/base/text.ts';
import type { ClusterSnapshot, MachineView } from '../../src/cluster/snapshot.ts';
import { CONSTRAINTS } from '../../src/schedule/constraints.ts';
import { type Decision, machinesOf } from '../../src/schedule/decision.ts';
import { schedule } from '../../src/schedule/schedule.ts';
import { Workload } from '../../src/schedule/workload.ts';
import { seeded, seeds } from '../support/random.ts';
import { randomCluster, shuffled } from '../support/random-cluster.ts';
import { afterDecisions, faults, worldAfter, worldBefore } from './naive.ts';

const SEEDS = seeds(200);

/** Of two global units only one can have a machine: that the other one might is a reason, and no fault. */
const RIVALS: Readonly<Record<string, string>> = { rival: 'conflict', 'triggered-rival': 'triggered-unit' };

/** Holds `check` against the decisions about many random clusters; a failure names its seed. */
function always(
  check: (snapshot: ClusterSnapshot, decisions: readonly Decision[], seed: number) => void,
): void {
  for (const seed of SEEDS) {
    const snapshot = randomCluster(seed);
    try {
      check(snapshot, schedule(snapshot), seed);
    } catch (error) {
      throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
    }
  }
}

function changes(decisions: readonly Decision[]): readonly Decision[] {
  return decisions.filter(({ kind }) => kind === 'place' || kind === 'move');
}

function machineWith(snapshot: ClusterSnapshot, id: string): MachineView | undefined {
  return snapshot.machines.find((view) => view.id === id);
}

describe('over random clusters', () => {
  it('the clusters are worth it: every kind of decision and every reason occurs often', () => {
    const seen = new Map<string, number>();
    const count = (what: string): unknown => seen.set(what, (seen.get(what) ?? 0) + 1);
    always((_, decisions) => {
      for (const decision of decisions) {
        count(decision.kind);
        if (decision.kind === 'move') count(`move: ${decision.because.code}`);
        if ('rejected' in decision) for (const { reason } of decision.rejected) count(reason.code);
      }
    });
    const kinds = ['place', 'keep', 'move', 'release', 'unschedulable', 'global'];
    const rules = [
      'machine-id',
      'machine-metadata',
      'machine-of-elsewhere',
      'triggers-elsewhere',
      'conflict',
    ].concat('other-cluster', 'machine-silent', 'triggered-unit', 'triggered-elsewhere');
    const moves = [...rules, 'machine-removed'].map((code) => `move: ${code}`);
    const others = ['machine-of-nowhere', 'foreign-unit'];
    expect(new Set(seen.keys())).toEqual(new Set([...kinds, ...rules, ...moves, ...others]));
    expect(
      [...kinds, ...rules, ...others].filter((what) => (seen.get(what) ?? 0) < SEEDS.length / 10),
    ).toEqual([]);
  });

  it('every unit gets one decision, in the order of names, and a standard unit one machine at most', () => {
    always((snapshot, decisions) => {
      expect(decisions.map(({ unit }) => unit)).toEqual(
        snapshot.units.map(({ name }) => name).sort(compareText),
      );
      for (const decision of decisions) {
        if (decision.kind === 'global')
          expect(new Set(machinesOf(decision)).size).toBe(machinesOf(decision).length);
        else expect(machinesOf(decision).length).toBeLessThanOrEqual(1);
      }
    });
  });

  it('no new assignment breaks a rule, as a naive reading of the rules has it', () => {
    always((snapshot, decisions) => {
      const world = worldAfter(snapshot, decisions);
      for (const decision of decisions.filter(({ kind }) => kind !== 'keep')) {
        const unit = snapshot.units.find(({ name }) => name === decision.unit);
        for (const id of machinesOf(decision)) {
          const machine = machineWith(snapshot, id);
          if (unit === undefined || machine === undefined) throw new Error('assigned out of this world');
          const others = new Map([...world].filter(([name]) => name !== unit.name));
          const found = [...faults(unit, machine, others, snapshot)].filter(
            (code) => !code.endsWith('rival'),
          );
          expect([unit.name, id, ...found]).toEqual([unit.name, id]);
        }
      }
    });
  });

  it('every reason is true, before the pass or after it', () => {
    always((snapshot, decisions) => {
      const worlds = [worldBefore(snapshot), worldAfter(snapshot, decisions)];
      for (const decision of decisions) {
        const unit = snapshot.units.find(({ name }) => name === decision.unit);
        if (!('rejected' in decision) || unit === undefined) continue;
        for (const { machine: name, reason } of decision.rejected) {
          const machine = snapshot.machines.find((view) => view.machine.name === name);
          if (machine === undefined) throw new Error('a reason about no machine');
          const found = worlds.flatMap((world) => [...faults(unit, machine, world, snapshot)]);
          const codes = found.map((code) => RIVALS[code] ?? code);
          expect([unit.name, name, ...codes]).toContain(reason.code);
        }
      }
    });
  });

  it('a rule that does not concern a unit excludes no machine', () => {
    always((snapshot) => {
      const workload = new Workload(snapshot);
      for (const unit of snapshot.units) {
        const context = { unit, workload, snapshot };
        for (const { rule, check } of CONSTRAINTS.filter((each) => !each.concerns(context)))
          for (const machine of snapshot.machines)
            expect([unit.name, rule, check({ ...context, machine })]).toEqual([unit.name, rule, undefined]);
      }
    });
  });

  it('every machine that does not get a unit which looks for one has a reason', () => {
    always((snapshot, decisions) => {
      for (const decision of decisions) {
        if (decision.kind === 'unschedulable')
          expect(decision.rejected).toHaveLength(snapshot.machines.length);
        if (decision.kind === 'global')
          expect(decision.machines.length + decision.rejected.length).toBe(snapshot.machines.length);
      }
    });
  });

  it('no unit leaves a machine that answers without a reason that is true', () => {
    always((snapshot, decisions) => {
      const worlds = [worldBefore(snapshot), worldAfter(snapshot, decisions)];
      for (const decision of decisions) {
        if (decision.kind !== 'move') continue;
        const from = machineWith(snapshot, decision.from);
        const unit = snapshot.units.find(({ name }) => name === decision.unit);
        if (unit === undefined || from?.unreachable !== undefined) continue;
        const found = from && worlds.flatMap((world) => [...faults(unit, from, world, snapshot)]);
        expect(found ?? ['machine-removed']).toContain(decision.because.code);
      }
    });
  });

  it('no unit leaves an unreachable machine before its time, nor one that is there and refuses us', () => {
    always((snapshot, decisions) => {
      const silent = snapshot.machines.filter(({ unreachable }) => unreachable !== undefined);
      for (const decision of decisions) {
        const silence = decision.kind === 'move' && machineWith(snapshot, decision.from)?.unreachable;
        if (!silence) continue;
        expect(snapshot.now - silence.since).toBeGreaterThanOrEqual(snapshot.agentTtlMs);
        expect(['ssh-timeout', 'ssh-refused']).toContain(silence.code);
        expect(silent.length / snapshot.machines.length).toBeLessThanOrEqual(0.5);
      }
    });
  });

  it('the order of units, machines and answers changes nothing', () => {
    always((snapshot, decisions, seed) => {
      expect(schedule(shuffled(snapshot, seed))).toEqual(decisions);
    });
  });

  it('a decision has no effect on later ones about the same units', () => {
    always((snapshot, decisions) => {
      for (const { name } of snapshot.units) schedule(snapshot, new Set([name]));
      expect(schedule(snapshot)).toEqual(decisions);
    });
  });

  it('a scope limits what is decided, and leaves it in order', () => {
    always((snapshot, _, seed) => {
      const random = seeded(seed);
      const scope = new Set(snapshot.units.map(({ name }) => name).filter(() => random() < 0.5));
      expect(schedule(snapshot, scope).map(({ unit }) => unit)).toEqual([...scope].sort(compareText));
    });
  });

  it('a second pass changes no decision of the first one', () => {
    always((snapshot) => {
      const units = snapshot.units.map((unit) => ({ ...unit, machine: undefined }));
      const empty = { ...snapshot, units };
      const second = schedule(afterDecisions(empty, schedule(empty)));
      expect(changes(second)).toEqual([]);
    });
  });

  it('passes come to rest, whatever they began with', () => {
    always((snapshot, first) => {
      let current = snapshot;
      let decisions = first;
      let passes = 0;
      while (changes(decisions).length > 0) {
        current = afterDecisions(current, decisions);
        decisions = schedule(current);
        passes += 1;
        expect(passes).toBeLessThanOrEqual(3);
      }
    });
  });
});
