# The cluster is a cgroup, with a cgroup for each machine, so that the kernel knows every process of a machine, and `down`
# finds everything even after the script was killed half-way.

cluster_cgroup() { printf %s "$CGROUPS/fleet-cluster-$ID"; }

cgroup_of() { printf %s "$CGROUPS/fleet-cluster-$ID/$1"; }

# Whether a cgroup or its children have processes.
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
  until_true 100 is_frozen "$1" || fail "the processes in $1 cannot be frozen"
}

thaw_cgroup() { [ ! -e "$1/cgroup.freeze" ] || echo 0 >"$1/cgroup.freeze"; }

# Removes cgroups from the leaves up, including those that nspawn creates in v1 hierarchies.
remove_cgroup() {
  local top
  for top in "$1" /sys/fs/cgroup/*/"${1#"$CGROUPS/"}"; do
    [ ! -d "$top" ] || find "$top" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
}

# Runs a command every 0.05 s until it succeeds, N times at most.
until_true() {
  local tries=$1
  shift
  while ! "$@"; do
    [ "$((tries -= 1))" -gt 0 ] || return 1
    sleep 0.05
  done
}
