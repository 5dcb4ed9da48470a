import type { Access } from '../ssh/become.ts';
import { quote } from '../ssh/shell.ts';
import type { Transport } from '../ssh/transport.ts';
import { type Host, runWell, sshHost } from './host.ts';

/**
 * Sets `file` to the authorized_keys of the user, with links resolved. A script has no HOME, so the shell expands `~user`;
 * otherwise the home folder is the working folder of the session.
 */
const FILE = [
  'user=$(id -un)',
  'home=$PWD',
  'case $user in *[!A-Za-z0-9._-]*) ;; *) eval "home=~$user" ;; esac',
  'file=$(readlink -f "$home/.ssh/authorized_keys") || file=$home/.ssh/authorized_keys',
].join('\n');

/** The machine as the login user, without root rights, because the file belongs to that user. */
export function loginOf(transport: Transport, { ssh }: Access): Host {
  return sshHost(transport, { ssh, become: 'none' });
}

/** Whether the key of a line `TYPE BASE64 COMMENT` is authorized there; false without a key. */
export async function isAuthorized(login: Host, publicLine: string | undefined): Promise<boolean> {
  const script = lookingFor(publicLine ?? '', ['echo "found $found"']);
  return /^found [1-9]/m.test(await runWell(login, script, 'read authorized_keys'));
}

/** Authorizes a key; a file that has it already stays unchanged. */
export async function authorize(login: Host, publicLine: string): Promise<void> {
  const script = lookingFor(publicLine, [
    '[ "$found" = 0 ] || return 0',
    'umask 077',
    'mkdir -p "$home/.ssh"',
    // A file that was edited by hand may lack its last newline.
    '[ ! -s "$file" ] || [ -z "$(tail -c 1 "$file")" ] || echo >>"$file"',
    `printf '%s\\n' ${quote(publicLine)} >>"$file"`,
  ]);
  await runWell(login, script, 'authorize the key of the controller');
}

/** Removes a key; every other line stays unchanged. */
export async function forbid(login: Host, publicLine: string): Promise<void> {
  const script = lookingFor(publicLine, [
    '[ "$found" != 0 ] || return 0',
    'cp -p "$file" "$file.new"',
    'while IFS= read -r line || [ -n "$line" ]; do',
    '  case $line in *"$key"*) ;; *) printf "%s\\n" "$line" ;; esac',
    'done <"$file" >"$file.new"',
    'mv -f "$file.new" "$file"',
  ]);
  await runWell(login, script, 'remove the key of the controller');
}

/** Sets `key` to the key itself, in base64, and `found` to the number of lines with it, before `commands`. */
function lookingFor(publicLine: string, commands: readonly string[]): string {
  const key = publicLine.split(' ')[1] || 'none';
  return [
    FILE,
    `key=${quote(key)}`,
    'found=0',
    'if [ -e "$file" ]; then',
    '  while IFS= read -r line || [ -n "$line" ]; do',
    '    case $line in *"$key"*) found=$((found + 1)) ;; esac',
    '  done <"$file"',
    'fi',
    ...commands,
  ].join('\n');
}
