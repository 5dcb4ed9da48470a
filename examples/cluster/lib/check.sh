# What the box must have, and how it gets there.

# A file that must exist, and the Debian package it comes in.
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

# Can this box do it? Changes nothing.
check() {
  local missing
  require_box
  missing=$(missing_packages "$NEEDED")
  [ -z "$missing" ] || require_installable $missing
  if [ -z "$missing" ]; then printf 'OK\n'; else printf 'OK, "up" will install: %s\n' "$(echo $missing)"; fi
}

# Check, then install what is missing.
require() {
  local missing
  require_box
  missing=$(missing_packages "$NEEDED")
  [ -z "$missing" ] || install_packages $missing
}

require_root() {
  [ "$(uname -s)" = Linux ] || cannot "this needs Linux with systemd-nspawn, and this is $(uname -s)"
  [ "$(id -u)" = 0 ] || cannot "this must run as root, because it starts machines: sudo $0"
  shopt -s inherit_errexit
  CGROUPS=$(cgroup2_mount)
}

require_box() {
  require_root
  [ -n "$CGROUPS" ] || cannot "no cgroup v2 hierarchy is mounted on this box, and machines are held in one"
  [ -w "$CGROUPS/cgroup.procs" ] || cannot "$CGROUPS is read-only, so machines cannot be started (a container without privileges?)"
  kernel_is_at_least 5 14 || cannot "Linux 5.14 or newer is needed to kill a whole cgroup, and this is $(uname -r)"
  [ -L /bin ] && [ -L /lib ] || cannot "/bin and /lib must be links into /usr, because machines share /usr with the box"
  unshare --mount true 2>/dev/null || cannot "this root may not mount anything (a container without privileges?)"
}

# On boxes that still have cgroup v1, v2 sits beside it.
cgroup2_mount() {
  awk '$3 == "cgroup2" && !seen++ { print $2 }' /proc/mounts
}

kernel_is_at_least() {
  local major minor
  IFS=.- read -r major minor _ < <(uname -r)
  [ "$major" -gt "$1" ] || { [ "$major" -eq "$1" ] && [ "$minor" -ge "$2" ]; }
}

missing_packages() {
  local file package
  while read -r file package; do
    [ -z "$file" ] || [ -e "$file" ] || printf '%s\n' "$package"
  done <<<"$1" | sort -u
}

require_installable() {
  local package
  command -v apt-get >/dev/null || cannot "$* must be installed first, because this box has no apt-get"
  have_package_lists || return 0
  for package in "$@"; do
    has_candidate "$package" || cannot "the package $package is missing, and apt-get does not know it"
  done
}

have_package_lists() { [ -n "$(find /var/lib/apt/lists -name '*Packages*' -print -quit 2>/dev/null)" ]; }

has_candidate() { [[ $(LC_ALL=C apt-cache policy "$1" 2>/dev/null) =~ Candidate:\ [^\(] ]]; }

install_packages() {
  local package
  require_installable "$@"
  say "installing with apt-get: $*"
  no_service_starts
  for package in "$@"; do
    has_candidate "$package" || { apt_get update && break; }
  done
  apt_get_install "$@" || { apt_get update && apt_get_install "$@"; } ||
    fail "apt-get could not install: $*"
  no_service_is_enabled "$@"
  services_may_start
}

# --no-remove: better no cluster than a box that lost a package over it.
apt_get_install() { apt_get install --yes --no-install-recommends --no-remove -o Dpkg::Options::=--force-confold "$@"; }

# Quiet unless it fails.
apt_get() {
  local log
  log=$(mktemp)
  if DEBIAN_FRONTEND=noninteractive apt-get -q "$@" </dev/null >"$log" 2>&1; then rm -f "$log" && return; fi
  tail -n 20 "$log" >&2
  rm -f "$log"
  return 1
}

# Debian starts a service when its package is installed. The box's own sshd must not start because somebody tried a
# cluster, neither now (policy-rc.d) nor at the next boot (disable).
no_service_starts() {
  [ -e "$POLICY" ] && ! grep -q 'fleet cluster' "$POLICY" && return 0
  trap services_may_start EXIT
  printf '#!/bin/sh\n# fleet cluster: while it installs packages\nexit 101\n' >"$POLICY"
  chmod 755 "$POLICY"
}

services_may_start() {
  ! grep -qs 'fleet cluster' "$POLICY" || rm -f "$POLICY"
  trap - EXIT
}

no_service_is_enabled() {
  local package unit
  for package in "$@"; do
    case $package in openssh-server | podman | docker-registry | nftables) ;; *) continue ;; esac
    dpkg -L "$package" | sed -n 's|.*/systemd/system/\([^/@]*\.\(service\|socket\|timer\)\)$|\1|p' | sort -u |
      while read -r unit; do systemctl --quiet --no-reload disable "$unit" >/dev/null 2>&1 || true; done
    dpkg -L "$package" | sed -n 's|^/etc/init\.d/||p' |
      while read -r unit; do update-rc.d "$unit" disable >/dev/null 2>&1 || true; done
  done
}
