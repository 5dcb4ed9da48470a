# Requirements of the box, and the installation of missing packages.

# Required files, and their Debian packages.
NEEDED='
/usr/bin/systemd-nspawn      systemd-container
/usr/lib/systemd/systemd     systemd
/usr/bin/dbus-daemon         dbus
/usr/sbin/sshd               openssh-server
/usr/bin/ssh-keygen          openssh-client
/usr/bin/sudo                sudo
/usr/sbin/nft                nftables
'
POLICY=/usr/sbin/policy-rc.d

# Checks the requirements, and changes nothing.
check() {
  local missing=()
  require_box
  mapfile -t missing < <(missing_packages "$NEEDED")
  if [ ${#missing[@]} -eq 0 ]; then printf 'OK\n' && return; fi
  require_installable "${missing[@]}"
  printf 'OK, "up" will install: %s\n' "${missing[*]}"
}

# Checks the requirements, and installs missing packages.
require() {
  require_box
  require_packages "$NEEDED"
}

require_packages() {
  local missing=()
  mapfile -t missing < <(missing_packages "$1")
  [ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
}

require_linux() { [[ $OSTYPE == linux* ]] || cannot "Linux with systemd-nspawn is needed, and this is $(uname -s)"; }

require_root() {
  require_linux
  [ "$EUID" = 0 ] || cannot "this must run as root, because it starts machines: sudo $0"
  shopt -s inherit_errexit
  find_cgroup2
}

require_box() {
  require_root
  [ -n "$CGROUPS" ] || cannot "no cgroup v2 hierarchy is mounted on this box, and machines need one"
  [ -w "$CGROUPS/cgroup.procs" ] || cannot "$CGROUPS is read-only, so machines cannot be started (an unprivileged container?)"
  kernel_is_at_least 5 14 || cannot "Linux 5.14 or newer is needed to kill a whole cgroup, and this is $(uname -r)"
  if [ ! -L /bin ] || [ ! -L /lib ]; then
    cannot "/bin and /lib must be links into /usr, because machines share /usr with the box"
  fi
  unshare --mount true 2>/dev/null || cannot "root cannot mount file systems here (an unprivileged container?)"
}

# Boxes with cgroup v1 can have v2 in another mount.
find_cgroup2() {
  local path type
  CGROUPS=''
  while read -r _ path type _; do
    if [ "$type" = cgroup2 ]; then CGROUPS=$path && return; fi
  done </proc/mounts
}

kernel_is_at_least() {
  local major minor
  IFS=.- read -r major minor _ </proc/sys/kernel/osrelease
  [ "$((major * 1000 + minor))" -ge "$(($1 * 1000 + $2))" ]
}

missing_packages() {
  local file package
  while read -r file package; do
    [ -z "$file" ] || [ -e "$file" ] || printf '%s\n' "$package"
  done <<<"$1"
}

require_installable() {
  local package
  command -v apt-get >/dev/null || cannot "$* must be installed first, because this box has no apt-get"
  have_package_lists || return 0
  for package in "$@"; do
    has_candidate "$package" || cannot "the package $package is missing, and apt-get does not offer it"
  done
}

have_package_lists() { [ -n "$(find /var/lib/apt/lists -name '*Packages*' -print -quit 2>/dev/null)" ]; }

has_candidate() { [[ $(LC_ALL=C apt-cache policy "$1" 2>/dev/null) =~ Candidate:\ [^\(] ]]; }

install_packages() {
  require_installable "$@"
  say "installing with apt-get: $*"
  no_service_starts
  have_package_lists || apt_get update || fail "apt-get update failed"
  apt_get_install "$@" || { say "trying again after apt-get update" && apt_get update && apt_get_install "$@"; } ||
    fail "apt-get could not install: $*"
  no_service_is_enabled "$@"
  services_may_start
}

# --no-remove, because the box must not lose a package.
apt_get_install() { apt_get install --yes --no-install-recommends --no-remove -o Dpkg::Options::=--force-confold "$@"; }

# Prints output only on failure.
apt_get() {
  local log
  log=$(mktemp)
  if DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" </dev/null >"$log" 2>&1; then
    rm -f "$log"
    return 0
  fi
  tail -n 20 "$log" >&2
  rm -f "$log"
  return 1
}

# Debian starts a service when its package is installed. No service of the box must start because of the cluster, neither
# now (policy-rc.d) nor at the next boot (disable).
no_service_starts() {
  if [ -e "$POLICY" ] && ! is_our_policy; then return; fi
  trap services_may_start EXIT
  printf '#!/bin/sh\n# fleet cluster: during the installation of packages\nexit 101\n' >"$POLICY"
  chmod 755 "$POLICY"
}

services_may_start() {
  ! is_our_policy || rm -f "$POLICY"
  trap - EXIT
}

is_our_policy() { grep -qs 'fleet cluster' "$POLICY"; }

no_service_is_enabled() {
  local package name
  for package in "$@"; do
    case $package in openssh-server | podman | docker-registry | nftables) ;; *) continue ;; esac
    for name in $(dpkg -L "$package" | sed -n -E 's,.*/systemd/system/([^/@]+\.(service|socket|timer))$,\1,p' | sort -u); do
      systemctl --quiet disable "$name" >/dev/null 2>&1 || true
    done
    for name in $(dpkg -L "$package" | sed -n 's,^/etc/init\.d/,,p'); do
      update-rc.d "$name" disable >/dev/null 2>&1 || true
    done
  done
}
