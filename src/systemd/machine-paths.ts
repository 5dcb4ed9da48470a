/** Where things are on a machine. */
export type MachinePaths = {
  /** Unit files of the administrator: systemd.unit(5). */
  readonly units: string;
  /** What fleet knows: records, tokens of what was removed, the owning cluster. */
  readonly state: string;
  /** The lock, and the lease; gone after a reboot. */
  readonly run: string;
  /** Unit files that a reboot takes away: systemd.unit(5). */
  readonly volatile: string;
  /** The other folders a unit file may be in; fleet refuses to shadow one of theirs. */
  readonly foreign: readonly string[];
};

export const MACHINE_PATHS: MachinePaths = {
  units: '/etc/systemd/system',
  state: '/var/lib/fleet',
  run: '/run/fleet',
  volatile: '/run/systemd/system',
  foreign: [
    '/etc/systemd/system.attached',
    '/run/systemd/system',
    '/run/systemd/system.attached',
    '/run/systemd/transient',
    '/run/systemd/generator.early',
    '/run/systemd/generator',
    '/run/systemd/generator.late',
    '/usr/local/lib/systemd/system',
    '/usr/lib/systemd/system',
    '/lib/systemd/system',
  ],
};
