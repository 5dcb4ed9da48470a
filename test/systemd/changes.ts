import { sha1, sha256 } from '../../src/base/hash.ts';
import type { TargetState, UnitRecord } from '../../src/cluster/unit-state.ts';
import type { Step, UnitChange } from '../../src/plan/step.ts';

/** A unit file whose unit runs until it is stopped; `lines` go below `[Service]`. */
export function unitText(description: string, ...lines: readonly string[]): string {
  return `[Unit]\nDescription=${description}\n[Service]\n${lines.join('\n') || 'ExecStart=/bin/sleep 1000'}\n`;
}

export function recordOf(unit: string, text: string, token: number, target: TargetState): UnitRecord {
  return { unit, token, hash: sha1(text), digest: sha256(text), target };
}

/** The changes that plan/ makes, by what they are for. */
export const changes = {
  load: (unit: string, text: string, token: number): UnitChange =>
    change(unit, token, [write(text), record(unit, text, token, 'loaded')]),
  launch: (unit: string, text: string, token: number): UnitChange =>
    change(unit, token, [write(text), record(unit, text, token, 'launched'), start]),
  restart: (unit: string, text: string, token: number): UnitChange =>
    change(unit, token, [stop, write(text), record(unit, text, token, 'launched'), start]),
  start: (unit: string, text: string, token: number): UnitChange =>
    change(unit, token, [record(unit, text, token, 'launched'), { kind: 'start' }]),
  stop: (unit: string, text: string, token: number): UnitChange =>
    change(unit, token, [stop, record(unit, text, token, 'loaded')]),
  lower: (unit: string, text: string, token: number): UnitChange =>
    change(unit, token, [stop, write(text), record(unit, text, token, 'loaded')]),
  note: (unit: string, text: string, token: number): UnitChange =>
    change(unit, token, [record(unit, text, token, 'launched')]),
  remove: (unit: string, token: number): UnitChange => change(unit, token, [stop, { kind: 'remove' }]),
};

/** The same for a unit whose record is lost, and whose file has that text. */
export function adopting(change: UnitChange, text: string): UnitChange {
  const step: Step = { kind: 'adopt', record: recordOf(change.unit, text, 0, 'launched') };
  return { ...change, steps: [step, ...change.steps] };
}

const stop: Step = { kind: 'stop' };
const start: Step = { kind: 'start' };
const write = (text: string): Step => ({ kind: 'write', text });
const record = (unit: string, text: string, token: number, target: TargetState): Step => ({
  kind: 'record',
  record: recordOf(unit, text, token, target),
  links: target === 'launched' ? [`fleet.target.wants/${unit}`] : [],
});

function change(unit: string, token: number, steps: readonly Step[]): UnitChange {
  return { unit, token, steps, obstacle: undefined };
}
