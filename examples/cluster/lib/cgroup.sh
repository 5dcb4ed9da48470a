# One cgroup holds the whole cluster, one in it holds each machine. So "every process of m2" is a fact of the kernel, whatever
# forked in between, and `down` finds everything even when the script was killed half way.

cluster_cgroup() { printf %s "$CGROUPS/fleet-cluster-$ID"; }

cgroup_of() { printf %s "$CGROUPS/fleet-cluster-$ID/$1"; }

# cgroup -> are there processes in it or below?
is_populated() { has_event "$1" 'populated 1'; }

is_frozen() { has_event "$1" 'frozen 1'; }

has_event() {
  local events=''
  [ -e "$1/cgroup.events" ] && { read -r -d '' events <"$1/cgroup.events" || true; }
  [[ $events == *"$2"* ]]
}

join_cgroup() {
  mkdir -p "$1"
  echo "$BASHPID" >"$1/cgroup.procs"
}

kill_cgroup() {
  [ -e "$1/cgroup.kill" ] || return 0
  echo 1 >"$1/cgroup.kill"
  until_true 200 is_empty_cgroup "$1" || fail "processes in $1 survive SIGKILL"
}

is_empty_cgroup() { ! is_populated "$1"; }

freeze_cgroup() {
  echo 1 >"$1/cgroup.freeze"
  until_true 100 is_frozen "$1" || fail "the processes in $1 do not stop"
}

thaw_cgroup() { [ ! -e "$1/cgroup.freeze" ] || echo 0 >"$1/cgroup.freeze"; }

# Cgroups are removed from the leaves up. The v1 hierarchies, where there are any, get folders of the same name from nspawn.
remove_cgroup() {
  local top
  for top in "$1" /sys/fs/cgroup/*/"${1#"$CGROUPS/"}"; do
    [ ! -d "$top" ] || find "$top" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
}

# Tries a command every 0.05 s, N times.
until_true() {
  local tries=$1
  shift
  while ! "$@"; do
    [ "$((tries -= 1))" -gt 0 ] || return 1
    sleep 0.05
  done
}
