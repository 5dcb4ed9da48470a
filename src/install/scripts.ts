import { sha256 } from '../base/hash.ts';
import { quote } from '../ssh/shell.ts';
import { type HostFile, LAYOUT } from './files.ts';

/**
 * Writes files, each verified and replaced atomically. Standard input is their contents, one after the other.
 */
export function writeScript(files: readonly HostFile[]): string {
  return files
    .map(({ path, mode, owner, content }) => {
      const [target, fresh] = [quote(path), quote(`${path}.new`)];
      return [
        'umask 022',
        `mkdir -p ${quote(path.replace(/\/[^/]*$/, ''))}`,
        'umask 077',
        `head -c ${content.length} >${fresh}`,
        `set -- $(sha256sum ${fresh})`,
        `if [ "$1" != ${sha256(content)} ]; then echo ${quote(`${path} was not received completely`)} >&2; rm -f ${fresh}; return 1; fi`,
        `chown ${owner} ${fresh}`,
        `chmod ${mode} ${fresh}`,
        `sync ${fresh}`,
        `mv -f ${fresh} ${target}`,
      ].join('\n');
    })
    .join('\n');
}

/** The user of the controller, without a password or a shell. */
export function userScript(): string {
  return [
    "systemd-sysusers - <<'END'",
    `u ${LAYOUT.user} - "fleet controller" ${LAYOUT.state}`,
    'END',
    `id -u ${LAYOUT.user} >/dev/null`,
  ].join('\n');
}

/** Runs a Node that was copied there. */
export function tryNodeScript(): string {
  return `${LAYOUT.node} --version || { rm -f ${LAYOUT.node}; return 1; }`;
}

/** Connects to every machine as the controller will; prints `NAME STATE` lines. */
export function checkScript(): string {
  const command = `${LAYOUT.command} --config ${LAYOUT.config} --endpoint none list-machines --no-legend --fields name,state`;
  return `cd /; runuser -u ${LAYOUT.user} -- env HOME=/nonexistent ${command}`;
}

/** The folder in which a registry is written before it is moved to its place. */
const STAGED = `${LAYOUT.registry}.new`;

/** The only file of a registry, for {@link placeRegistryScript}. */
export function stagedRegistry(content: Buffer): HostFile {
  return { path: `${STAGED}/records`, mode: '0600', owner: 'fleet:fleet', content };
}

/** Creates the folder for {@link stagedRegistry}, for the controller's user only. Fails if a registry exists. */
export function stageRegistryScript(): string {
  const { state, user, registry } = LAYOUT;
  return [
    `install -d -m 0700 -o ${user} -g ${user} ${state}`,
    `[ ! -e ${registry} ] || { echo 'a registry exists already' >&2; return 1; }`,
    `rm -rf ${STAGED}`,
    `install -d -m 0700 -o ${user} -g ${user} ${STAGED}`,
  ].join('\n');
}

export function placeRegistryScript(): string {
  return `mv -T ${STAGED} ${LAYOUT.registry}`;
}

/** Starts the controller, waits until it has observed every machine, and checks its health. */
export function startScript(node: string): string {
  const { socket } = LAYOUT;
  const ask = [
    `const request = require('node:http').get({ socketPath: '${socket}', path: '/healthz', timeout: 5000 }, (answer) => {`,
    "let text = '';",
    "answer.on('data', (piece) => (text += piece)).on('end', () => {",
    'if (answer.statusCode !== 200) process.stderr.write(text.trim());',
    'process.exit(answer.statusCode === 200 ? 0 : 1);',
    '});',
    '});',
    "request.on('timeout', () => request.destroy(new Error('no answer')));",
    "request.on('error', (error) => { process.stderr.write(error.message); process.exit(1); });",
  ].join('\n');
  return [
    'systemctl daemon-reload',
    'systemctl enable --quiet fleetd.socket fleetd.service',
    'systemctl start fleetd.socket',
    'if ! said=$(systemctl restart fleetd.service 2>&1); then',
    '  journalctl -u fleetd.service -n 20 -o cat --no-pager >&2 || :',
    '  printf "%s\\n" "$said" >&2; return 1',
    'fi',
    `for try in 1 2 3 4 5 6 7 8 9 10; do`,
    `  if said=$(${quote(node)} -e ${quote(ask)} 2>&1); then return 0; fi`,
    '  sleep 1',
    'done',
    'printf "it is not healthy: %s\\n" "$said" >&2; return 1',
  ].join('\n');
}

/** Links the configuration and the command into their usual places, if these are free. */
export function linkScript(): string {
  return [
    `[ -e /etc/fleet/fleet.conf ] || [ -L /etc/fleet/fleet.conf ] || ln -s ${LAYOUT.config} /etc/fleet/fleet.conf`,
    `[ -e /usr/local/bin/fleetctl ] || [ ! -w /usr/local/bin ] || ln -s ${LAYOUT.command} /usr/local/bin/fleetctl`,
  ].join('\n');
}

/** Stops and disables the controller; the units of the cluster keep running. */
export function stopScript(): string {
  return [
    'for unit in fleetd.socket fleetd.service; do',
    `  [ ! -e ${LAYOUT.units}/$unit ] || systemctl disable --now --quiet $unit`,
    'done',
  ].join('\n');
}

/**
 * Removes the files of an installation, except the registry, its user, and those in `stays`. The configuration is removed
 * last, because {@link isUntouched} recognizes the installation by it.
 */
export function removeScript(stays: { readonly program: boolean; readonly key: boolean }): string {
  const { units, config, secrets, key, knownHosts, program, command } = LAYOUT;
  return [
    `rm -f ${units}/fleetd.service ${units}/fleetd.socket`,
    'systemctl daemon-reload',
    'systemctl reset-failed fleetd.service fleetd.socket 2>/dev/null || :',
    ...(stays.program
      ? []
      : [
          `[ "$(readlink /usr/local/bin/fleetctl)" != ${command} ] || rm -f /usr/local/bin/fleetctl`,
          `rm -rf ${program}`,
        ]),
    `[ "$(readlink /etc/fleet/fleet.conf)" != ${config} ] || rm -f /etc/fleet/fleet.conf`,
    ...(stays.key ? [] : [`rm -f ${key}.pub`]),
    `rm -rf ${secrets}`,
    `rm -f ${key} ${knownHosts} ${config}`,
    'rmdir /etc/fleet 2>/dev/null || :',
  ].join('\n');
}
