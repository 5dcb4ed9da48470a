import type { MachineSession } from './driver.ts';

/** The same session, but for what `changes` puts in its place. */
export function alteredSession(session: MachineSession, changes: Partial<MachineSession>): MachineSession {
  return {
    observe: (request) => session.observe(request),
    change: (all, clusterId) => session.change(all, clusterId),
    extend: (lease) => session.extend(lease),
    status: (units, lines) => session.status(units, lines),
    verify: (request) => session.verify(request),
    examine: () => session.examine(),
    ended: session.ended,
    close: () => session.close(),
    ...changes,
  };
}
