import { sha256 } from '../base/hash.ts';
import { quote } from '../ssh/shell.ts';
import { type HostFile, LAYOUT } from './layout.ts';

/**
 * Puts files in their places, whole and verified, each or none of it. Standard input is their contents, one after the other.
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
        `if [ "$1" != ${sha256(content)} ]; then echo ${quote(`${path} did not arrive whole`)} >&2; rm -f ${fresh}; return 1; fi`,
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

/** Asks every machine as the controller will; prints `NAME STATE` lines. */
export function checkScript(): string {
  const command = `${LAYOUT.command} --config ${LAYOUT.config} --endpoint none list-machines --no-legend --fields name,state`;
  return `cd /; runuser -u ${LAYOUT.user} -- env HOME=/nonexistent ${command}`;
}

/** Where a registry is put together before it is in its place. */
const STAGED = `${LAYOUT.registry}.new`;

/** A registry's one file, where {@link placeRegistryScript} expects it. */
export function stagedRegistry(content: Buffer): HostFile {
  return { path: `${STAGED}/records`, mode: '0600', owner: 'fleet:fleet', content };
}

/** Makes the folder for {@link stagedRegistry}, for the controller's user alone; refused where there is a registry. */
export function stageRegistryScript(): string {
  const { state, user, registry } = LAYOUT;
  return [
    `install -d -m 0700 -o ${user} -g ${user} ${state}`,
    `[ ! -e ${registry} ] || { echo 'a registry is there already' >&2; return 1; }`,
    `rm -rf ${STAGED}`,
    `install -d -m 0700 -o ${user} -g ${user} ${STAGED}`,
  ].join('\n');
}

export function placeRegistryScript(): string {
  return `mv -T ${STAGED} ${LAYOUT.registry}`;
}

/** Starts the controller and waits until it is ready, which is when every machine has been asked; then asks for its health. */
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

/** Makes the command of the host find the configuration and itself, where nothing else does. */
export function linkScript(): string {
  return [
    `[ -e /etc/fleet/fleet.conf ] || [ -L /etc/fleet/fleet.conf ] || ln -s ${LAYOUT.config} /etc/fleet/fleet.conf`,
    `[ -e /usr/local/bin/fleetctl ] || [ ! -w /usr/local/bin ] || ln -s ${LAYOUT.command} /usr/local/bin/fleetctl`,
  ].join('\n');
}

/** Ends the controller, now and at boots; units of the cluster run on. */
export function stopScript(): string {
  return [
    'for unit in fleetd.socket fleetd.service; do',
    `  [ ! -e ${LAYOUT.units}/$unit ] || systemctl disable --now --quiet $unit`,
    'done',
  ].join('\n');
}

/** Removes what an installation has brought, but the registry, its owner, and what is to stay; {@link isUntouched} tells by the last one that it is ours. */
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
