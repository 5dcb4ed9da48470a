/** The topics of the manual with their titles, the reference first, then the guides. The pages are not needed for a list. */
export const TITLES = {
  commands: 'Commands',
  lists: 'Lists',
  config: 'Configuration: fleet.conf',
  connecting: 'Connecting to machines',
  units: 'Units',
  placement: 'Placement',
  states: 'States',
  failures: 'When things break',
  controller: 'The controller: fleetd',
  fencing: 'Fencing: a unit that never runs twice',
  api: 'The HTTP API',
  json: 'Output for scripts',
  security: 'Security',
  performance: 'Performance',
  install: 'Installation',
  upgrade: 'Upgrading fleet',
  migration: 'Migration',
  updates: 'Updating units and machines without downtime',
  folders: 'A folder that describes the cluster',
  jobs: 'Nightly jobs',
  inventory: 'Machines: add, change, rename, replace, remove',
  operators: 'Several operators',
  laptop: 'A laptop and a controller',
  backup: 'Backup and restore',
} as const satisfies Readonly<Record<string, string>>;

export type Topic = keyof typeof TITLES;

/** The name and the title of each topic. */
export const TOPIC_ROWS: readonly (readonly [name: string, title: string])[] = Object.entries(TITLES);

export function isTopic(word: string): word is Topic {
  return Object.hasOwn(TITLES, word);
}
