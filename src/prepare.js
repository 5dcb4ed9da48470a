// The "prepare" script: builds the bundle. npm runs it for `npm ci` and `npm pack`, and twice in its clone of a git URL.
//
// `npm install --global GIT-URL` needs help before npm 12: the npm that has to install the development packages into
// the clone inherits --global. It installs none of them, and links the global package to the clone, which npm
// deletes afterwards (npm/cli#8440, npm/cli#4148; fixed by npm/pacote#494).
import { spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readFileSync, realpathSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';

const { npm_config_global_prefix: prefix = '', npm_package_name: name = '' } = process.env;

const folder = realpathSync('.');
const isClone = /[\\/]_cacache[\\/]tmp[\\/]git-clone/.test(folder);
const isFirst = !existsSync('node_modules');

if (isFirst) run('npm ci --global=false --include=dev --ignore-scripts --prefer-offline');
else if (isClone) replaceLink(join(prefix, 'lib/node_modules', name));
// In a clone, the second run follows.
if (!isFirst || !isClone) run(JSON.parse(readFileSync('package.json', 'utf8')).scripts.build);

function run(command) {
  const { status } = spawnSync(command, { shell: true, stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) process.exit(status ?? 1);
}

/** Replaces a link to this clone of npm's by an empty folder, into which npm then unpacks the package. */
function replaceLink(path) {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() || realpathSync(path) !== folder) return;
  unlinkSync(path);
  mkdirSync(path);
}
