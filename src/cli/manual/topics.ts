import api from '../../manual/api.md';
import backup from '../../manual/backup.md';
import commands from '../../manual/commands.md';
import config from '../../manual/config.md';
import connecting from '../../manual/connecting.md';
import controller from '../../manual/controller.md';
import failures from '../../manual/failures.md';
import fencing from '../../manual/fencing.md';
import folders from '../../manual/folders.md';
import install from '../../manual/install.md';
import inventory from '../../manual/inventory.md';
import jobs from '../../manual/jobs.md';
import json from '../../manual/json.md';
import laptop from '../../manual/laptop.md';
import lists from '../../manual/lists.md';
import migration from '../../manual/migration.md';
import operators from '../../manual/operators.md';
import performance from '../../manual/performance.md';
import placement from '../../manual/placement.md';
import security from '../../manual/security.md';
import states from '../../manual/states.md';
import units from '../../manual/units.md';
import updates from '../../manual/updates.md';
import upgrade from '../../manual/upgrade.md';
import type { Topic } from './titles.ts';

/** The Markdown of each topic. */
export const TOPICS: Readonly<Record<Topic, string>> = {
  ...{ commands, lists, config, connecting, units, placement, states, failures, controller, fencing },
  ...{ api, json, security, performance },
  ...{ install, upgrade, migration, updates, folders, jobs, inventory, operators, laptop, backup },
};
